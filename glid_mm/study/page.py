"""Write a study's results as a self-contained page."""
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ..visualization import Report
from .results import Comparison, common_steps, mean_and_sd


def table_of(rows: Sequence[Comparison]) -> list[list[str]]:
    """The table as rows of cells, starting with the headings."""
    table = [['arm', 'seeds', 'final', 'difference', 'passes after']]
    for row in rows:
        cells = [
            str(row.arm),
            str(len(row.outcomes)),
            _spread(row.mean, row.sd)
        ]
        cells.append(
            _spread(*mean_and_sd(row.differences), '+') if row.
            differences else '–')
        cells.append('–' if row.passes is None else f'{row.passes:.0%}')
        table.append(cells)
    return table


def write_page(rows: Sequence[Comparison], metric: str, higher_is_better: bool,
               command: str, path: Path) -> None:
    """Write table, verdicts and curves.

    Args:
        rows: Rows of all arms.
        metric: The metric.
        higher_is_better: Whether higher values are better.
        command: Command that repeats the study.
        path: Path of the page.
    """
    arrow = '↑' if higher_is_better else '↓'
    page = Report(
        f'Study of {metric} {arrow}',
        'Runs of an arm differ in their seeds; runs with the same seed see '
        'the same images in the same order. Spreads are standard deviations '
        'over seeds. Differences are to the first arm with the same data and '
        'settings, seed by seed.')
    verdicts = [row.verdict(higher_is_better) for row in rows if row.baseline]
    page.add_section('Results', '\n\n'.join(verdicts), table=table_of(rows))
    for cell in dict.fromkeys(row.arm.cell for row in rows):
        mine = [row for row in rows if row.arm.cell == cell]
        page.add_section(
            'Curves',
            figures=[('Means over seeds, and their range',
                      plot_arms(mine, metric))])
    page.add_section('Command', code=command)
    page.write(path)


def _spread(mean: float, sd: float, sign: str = '') -> str:
    text = f'{mean:{sign}.4g}'
    return text if np.isnan(sd) else f'{text} ± {sd:.2g}'


def plot_arms(rows: Sequence[Comparison], metric: str) -> np.ndarray:
    """Plot a curve for each arm: the mean over seeds and their range.

    Args:
        rows: The arms.
        metric: Name of the axis.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    figure = Figure(figsize=(5.6, 3.4), layout='constrained')
    axes = figure.subplots()
    for row in rows:
        curve = common_steps(row.outcomes)
        line, = axes.plot(
            curve.steps, curve.values.mean(0), marker='.', label=str(row.arm))
        axes.fill_between(
            curve.steps,
            curve.values.min(0),
            curve.values.max(0),
            color=line.get_color(),
            alpha=.15)
    axes.set(ylabel=metric, xlabel=curve.unit)
    axes.grid(alpha=.3)
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=200)
    with Image.open(buffer) as image:
        return np.asarray(image.convert('RGB'))
