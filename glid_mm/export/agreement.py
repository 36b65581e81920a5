"""Compare the outputs of two runtimes.

Every difference is relative to the scale of the output: 1 for probabilities,
the longer side of the picture for coordinates, the largest value for other
numbers. Decisions agree if they are equal or tied within the tolerance.
"""
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..errors import UserError
from .graph import Graph, Inputs

TOLERANCE = 1e-3


def largest(host: np.ndarray,
            ours: np.ndarray,
            scale: float | np.ndarray = 1.) -> float:
    """The largest difference between numbers, relative to a scale."""
    if host.shape != ours.shape:
        return np.inf
    apart = np.abs(host.astype(np.float64) - ours) / scale
    # NaN agrees with nothing.
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.))


def unequal(host: np.ndarray, ours: np.ndarray) -> float:
    """The share of pixels that differ between maps ``(..., H, W)``."""
    if host.shape != ours.shape:
        return np.inf
    return float((host != ours).mean((-2, -1)).max(initial=0.))


def regret(scores: np.ndarray, choice: np.ndarray) -> float:
    """The score lost by choices: 0 if they are the best, little in a tie.

    Args:
        scores: The host's, ``(K, ...)``.
        choice: Index that the graph chose, ``(...)``.

    Returns:
        The largest loss, relative to the largest score.
    """
    taken = np.take_along_axis(scores, choice[None], 0)[0]
    return largest(scores.max(0), taken, np.abs(scores).max(initial=1e-12))


def pair(host: Mapping[str, np.ndarray], ours: Mapping[str, np.ndarray],
         side: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Match the detections of two lists.

    Lists contain the highest scores. Detections that tie with the lowest may
    be in only one of them.

    Args:
        host: ``boxes`` ``(n, 4)``, ``scores`` and ``labels`` ``(n,)``.
        ours: The same, of the same length.
        side: Longer side of the picture in pixels.

    Returns:
        The share of the host's detections without a partner of the same label,
        and the pairs as indices into both lists.
    """
    if len(host['scores']) != len(ours['scores']):
        return np.inf, np.arange(0), np.arange(0)
    cost = np.abs(host['boxes'][:, None] - ours['boxes']).sum(-1) / side
    cost += np.abs(host['scores'][:, None] - ours['scores'])
    cost[host['labels'][:, None] != ours['labels']] += 10
    rows, columns = linear_sum_assignment(np.nan_to_num(cost, nan=100))
    alone = host['labels'][rows] != ours['labels'][columns]
    # Only up to rounding; otherwise all scores of an untrained model tie.
    last = host['scores'].min(initial=1.) + TOLERANCE / 100
    tied = host['scores'][rows] <= last
    misfit = tied & (cost[rows, columns] > TOLERANCE)
    share = float((alone & ~misfit).mean()) if len(rows) else 0.
    kept = ~(alone | misfit)
    return share, rows[kept], columns[kept]


def compare(graph: Graph, run: Callable[..., Sequence[np.ndarray]],
            inputs: Inputs) -> dict[str, float]:
    """Compare a runtime with the host on one picture, then on pairs.

    Args:
        graph: The exported graph, with the host's outputs.
        run: Maps the graph's inputs to arrays in the order of its outputs.
        inputs: Inputs for all pictures.

    Returns:
        The largest difference of each output.
    """
    count = len(inputs[0])
    batches = [slice(1), *(slice(i, i + 2) for i in range(0, count, 2))]
    worst: dict[str, float] = {}
    for batch in batches:
        _, *sizes = given = [x[batch] for x in inputs]
        arrays = run(*given)
        for i, host in enumerate(graph.host(*given)):
            ours = graph.crop(
                {
                    name: x[i]
                    for name, x in zip(graph.OUTPUTS, arrays)
                }, *(x[i] for x in sizes))
            for name, value in graph.compare(host, ours).items():
                worst[name] = max(value, worst.get(name, 0.))
    return worst


def check(differences: Mapping[str, float]) -> None:
    """Raise an error if differences are too large.

    Args:
        differences: The largest difference of each output.

    Raises:
        UserError: If one exceeds the tolerance; names the output.
    """
    name = max(differences, key=differences.__getitem__)
    if differences[name] > TOLERANCE:
        raise UserError(
            f'the exported model does not agree with PyTorch: {name} differ '
            f'by {differences[name]:.2g} of their scale; the limit is '
            f'{TOLERANCE:g}. Nothing was written. Try another opset, such as '
            '18, or the versions of torch and onnxruntime that glid_mm is '
            'tested with (docs/deployment.md).')
