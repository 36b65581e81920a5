"""Results of a study: spreads, paired differences, and verdicts."""
import csv
import io
import math
import shlex
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import UserError
from ..io.files import write_atomically
from ..visualization import read_scalars
from ..visualization.curves import Curve
from .plan import Arm, Run, Start

# Columns of a study.csv before the metric.
_COLUMNS = ['start', 'parts', 'fraction', 'settings', 'lr', 'seed', 'step']


class Outcome(NamedTuple):
    """The result of one run.

    Attributes:
        run: The run.
        curve: The metric at each evaluation.
    """

    run: Run
    curve: Curve

    @property
    def final(self) -> float:
        """The metric at the end of training."""
        return float(self.curve.values[-1])


class Comparison(NamedTuple):
    """An arm compared with the baseline of its cell.

    Attributes:
        arm: The arm.
        outcomes: Outcomes of its seeds.
        mean: Mean of the metric at the end.
        sd: Standard deviation over seeds; NaN for one seed.
        baseline: Its baseline; None if it is a baseline.
        differences: Differences from the baseline, seed by seed.
        passes: The step at which the mean curve passes the baseline's final
            mean, as a share of all steps; None if it never does.
    """

    arm: Arm
    outcomes: list[Outcome]
    mean: float
    sd: float
    baseline: Arm | None
    differences: list[float]
    passes: float | None

    def verdict(self, higher_is_better: bool) -> str:
        """One sentence; a gain must exceed twice its standard error."""
        if not self.differences:
            return f'{self.arm}: nothing to compare with'
        count = len(self.differences)
        difference, sd = mean_and_sd(self.differences)
        beside = f'{self.arm} compared with {self.baseline}'
        if count == 1:
            return (f'{beside}: {difference:+.4g}, from one seed, which '
                    'proves little')
        error = sd / math.sqrt(count)
        sign = 1 if higher_is_better else -1
        word = 'better' if sign * difference > 0 else 'worse'
        if abs(difference) <= 2 * error:
            word = 'level'
        wins = sum(sign * d > 0 for d in self.differences)
        text = (f'{beside}: {word}, {difference:+.4g} ± {error:.2g} (mean and '
                f'its standard error), ahead in {wins} of {count} seeds')
        if word == 'better' and self.passes is not None:
            text += (f'; it passes the final score after {self.passes:.0%} of '
                     'the steps')
        return text


def read_outcome(run: Run, metric: str) -> Outcome:
    """Read a finished run.

    Args:
        run: The run.
        metric: Name of the scalar, such as ``mIoU``.

    Raises:
        UserError: If it has not logged that metric.
    """
    scalars = read_scalars(run.folder)
    if metric not in scalars:
        known = sorted(k for k, c in scalars.items() if len(c.values))
        raise UserError(f'{run.folder} has logged no {metric!r}, only '
                        f'{", ".join(known)}. Set --metric')
    return Outcome(run, scalars[metric])


def compare(outcomes: Sequence[Outcome],
            higher_is_better: bool = True) -> list[Comparison]:
    """Compare arms with the first arm of their cell.

    Arms of a cell differ only in their start. If every cell has a single arm,
    all are compared with the first.

    Args:
        outcomes: Finished runs, one for each arm and seed.
        higher_is_better: Whether higher values of the metric are better.
    """
    arms = {}
    for outcome in outcomes:
        arms.setdefault(outcome.run.arm, []).append(outcome)
    cells = {}
    for arm in arms:
        cells.setdefault(arm.cell, []).append(arm)
    alone = all(len(cell) == 1 for cell in cells.values())
    rows = []
    for arm, mine in arms.items():
        baseline = next(iter(arms)) if alone else cells[arm.cell][0]
        mean, sd = mean_and_sd([outcome.final for outcome in mine])
        row = dict(
            arm=arm,
            outcomes=mine,
            mean=mean,
            sd=sd,
            baseline=None,
            differences=[],
            passes=None)
        if arm != baseline:
            theirs = {o.run.seed: o for o in arms[baseline]}
            pairs = [(o, theirs[o.run.seed]) for o in mine
                     if o.run.seed in theirs]  # yapf: disable
            row.update(
                baseline=baseline,
                differences=[a.final - b.final for a, b in pairs],
                passes=_passes(pairs, higher_is_better))
        rows.append(Comparison(**row))
    return rows


def common_steps(outcomes: Sequence[Outcome]) -> Curve:
    """Values ``(seeds, n)`` at the n steps that all curves share."""
    steps = set.intersection(*(set(o.curve.steps.tolist()) for o in outcomes))
    steps = np.array(sorted(steps))
    values = [o.curve.values[np.isin(o.curve.steps, steps)] for o in outcomes]
    return Curve(steps, np.stack(values), outcomes[0].curve.unit)


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation; the latter is NaN for a single value."""
    sd = statistics.stdev(values) if len(values) > 1 else math.nan
    return statistics.fmean(values), sd


def _passes(pairs, higher_is_better: bool) -> float | None:
    if not pairs:
        return None
    mine, theirs = map(common_steps, zip(*pairs))
    sign = 1 if higher_is_better else -1
    there = sign * mine.values.mean(0) >= sign * theirs.values[:, -1].mean()
    if not there.any():
        return None
    return float(mine.steps[there.argmax()] / theirs.steps[-1])


def write_csv(outcomes: Sequence[Outcome], metric: str, path: Path) -> None:
    """Write every evaluation of every run, one per line."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow([*_COLUMNS, metric])
    for run, curve in outcomes:
        start, fraction, settings = run.arm
        about = [
            start.name, '+'.join(start.parts), fraction,
            shlex.join(f'{k}={v}' for k, v in settings), run.lr, run.seed
        ]
        for step, value in zip(curve.steps, curve.values):
            writer.writerow([*about, step, value])
    write_atomically(path, table.getvalue().encode())


def read_csv(path: Path) -> tuple[str, list[Outcome]]:
    """Read a file of :func:`write_csv`.

    Args:
        path: A ``study.csv``.

    Returns:
        The metric, and the outcomes of all runs.

    Raises:
        UserError: If it is not such a file.
    """
    with open(path, encoding='utf-8', newline='') as file:
        rows = csv.reader(file)
        *about, metric = next(rows, None) or ['']
        if about != _COLUMNS:
            raise UserError(f'{path} is not a study.csv: its columns are not '
                            f'{", ".join(_COLUMNS)} and a metric')
        points = {}
        for *about, step, value in rows:
            points.setdefault(tuple(about), []).append((step, value))
    outcomes = []
    for (name, parts, fraction, settings, lr, seed), values in points.items():
        arm = Arm(
            Start(name, '', tuple(filter(None, parts.split('+')))),
            float(fraction),
            tuple(
                tuple(setting.split('=', 1))
                for setting in shlex.split(settings)))
        steps, values = zip(*values)
        curve = Curve(
            np.array(steps, int), np.array(values, float), 'iteration')
        run = Run(arm, int(seed), float(lr) if lr else None, Path())
        outcomes.append(Outcome(run, curve))
    return metric, outcomes
