"""Loss and metric curves of runs, from their logged scalars."""
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ..errors import UserError


class Curve(NamedTuple):
    """One scalar over a run.

    Attributes:
        steps: ``(n,)`` int, ascending.
        values: ``(n,)`` float.
        unit: Unit of steps: 'iteration', or 'epoch' for metrics of epoch-based
            runs.
    """

    steps: np.ndarray
    values: np.ndarray
    unit: str


def read_scalars(run_dir: str | Path) -> dict[str, Curve]:
    """Read the scalars that mmengine's ``LocalVisBackend`` wrote.

    If a run was resumed, earlier records of the repeated steps are dropped.
    A truncated last line is ignored.

    Args:
        run_dir: A work dir, or a ``scalars.json``.

    Returns:
        Values by name, such as 'loss' and 'mIoU'.

    Raises:
        UserError: If there are no scalars, or a file is damaged.
    """
    run_dir = Path(run_dir)
    files = [run_dir]
    if not run_dir.is_file():
        # A resumed run writes into a new folder named by the time.
        files = sorted(run_dir.glob('*/vis_data/scalars.json'))
    if not files:
        raise UserError(f'there is no */vis_data/scalars.json in {run_dir}: '
                        'no run has logged there')
    points, timed = {}, set()
    for file in files:
        new = {}
        for record in _records(file):
            # Only training records have the iteration.
            timed |= record.keys() if 'iter' in record else set()
            for name, value in record.items():
                if name != 'step' and isinstance(value, (int, float)):
                    new.setdefault(name, {})[record['step']] = value
        for name, values in new.items():
            kept = points.get(name, {})
            start = min(values)
            points[name] = {s: v for s, v in kept.items() if s < start}
            points[name].update(values)
    return {
        name:
        Curve(
            np.array(sorted(values)),
            np.array([float(values[step]) for step in sorted(values)]),
            'epoch' if 'epoch' in timed and name not in timed else 'iteration')
        for name, values in points.items()
    }


def read_metrics(work_dir: str | Path) -> dict[str, float]:
    """Read the metrics of the newest test in a work dir.

    Args:
        work_dir: Work directory of ``tools/test.py``.

    Returns:
        Values by name, such as 'mIoU'.

    Raises:
        UserError: If no test has written metrics.
    """
    files = sorted(Path(work_dir).glob('*/*.json'))
    if not files:
        raise UserError(f'there is no */*.json in {work_dir}: no test has '
                        'logged there. Give the --work-dir of tools/test.py')
    return {
        name: value
        for name, value in json.loads(files[-1].read_text()).items()
        if isinstance(value, (int, float)) and name.split('/')[-1] not in (
            'data_time', 'time')
    }


def _records(file: Path):
    lines = file.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            yield json.loads(line)
        except ValueError:
            if number < len(lines):
                raise UserError(
                    f'{file}, line {number}: not JSON; the file is damaged'
                ) from None


def plot_curves(runs: dict[str, str | Path],
                keys: Sequence[str] = ('loss', ),
                smoothing: float = 0.) -> Figure:
    """Plot scalars of one or several runs, with one plot per key.

    Args:
        runs: Work dirs by their names in the legend.
        keys: Names of scalars. A run without a scalar is omitted from its
            plot.
        smoothing: From 0, none, to below 1: the share that an exponential
            moving average keeps from step to step. The original values stay
            visible in pale colours.

    Returns:
        The figure, for ``savefig``.

    Raises:
        ValueError: If ``smoothing`` is not in [0, 1).
        UserError: If no run has one of the keys; names the existing keys.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f'smoothing must be in [0, 1), not {smoothing}')
    scalars = {label: read_scalars(path) for label, path in runs.items()}
    figure = Figure(figsize=(4.8 * len(keys), 3.2), layout='constrained')
    for axes, key in zip(
            figure.subplots(1, len(keys), squeeze=False)[0], keys):
        curves = {
            label: curves[key]
            for label, curves in scalars.items() if key in curves
        }
        if not curves:
            known = sorted({name for run in scalars.values() for name in run})
            raise UserError(f'no run has logged {key!r}; choose from '
                            f'{", ".join(known)}')
        for label, (steps, values, unit) in curves.items():
            # A dot makes a single value visible.
            style = dict(marker='.') if len(steps) < 20 else {}
            if smoothing:
                colour = axes.plot(steps, values, alpha=.25, **style)[0]
                style['color'] = colour.get_color()
                values = _smooth(values, smoothing)
            axes.plot(steps, values, label=label, **style)
        axes.set(title=key, xlabel=unit)
        axes.grid(alpha=.3)
        axes.legend()
    return figure


def _smooth(values: np.ndarray, keep: float) -> np.ndarray:
    """A moving average without a bias at the start."""
    total = weight = 0.
    smoothed = []
    for value in values:
        # A NaN must not remove the rest of the curve.
        if math.isfinite(value):
            total = keep * total + (1 - keep) * value
            weight = keep * weight + (1 - keep)
        smoothed.append(total / weight if weight else math.nan)
    return np.array(smoothed)
