"""Match predictions with objects at the lowest total cost."""
from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

# Solving problems with fewer entries is faster than pruning them.
SMALL = 1 << 14


def fetch(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    """Copy tensors from their device, all in one transfer.

    Args:
        tensors: Tensors of one device and dtype.

    Returns:
        Arrays of the same shapes.
    """
    flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
    ends = np.cumsum([tensor.numel() for tensor in tensors])
    parts = np.split(flat.cpu().numpy(), ends[:-1])
    return [part.reshape(x.shape) for part, x in zip(parts, tensors)]


class CostsError(ValueError):
    """Costs of matching are not finite.

    Attributes:
        image (int): Index of the image in the batch.
    """

    def __init__(self, image: int) -> None:
        super().__init__(f'matching costs of image {image} are not finite')
        self.image = image


def match(costs: Sequence[np.ndarray], repeats: int = 1) -> np.ndarray:
    """Match a batch in every layer.

    Args:
        costs: For each image, ``(n, L, M)``: object, layer and prediction.
        repeats: Number of predictions for each object.

    Returns:
        ``(3, L, P)`` int64: image, prediction, and object (numbered over all
        images).

    Raises:
        CostsError: If a cost is not finite.
    """
    layers, first = [[] for _ in range(costs[0].shape[1])], 0
    for i, cost in enumerate(costs):
        if not np.isfinite(cost).all():
            raise CostsError(i)
        for layer, pairs in enumerate(layers):
            objects, found = assign(cost[:, layer], repeats)
            image = np.full_like(found, i)
            pairs.append(np.stack([image, found, objects + first]))
        first += len(cost)
    return np.stack([np.concatenate(pairs, 1) for pairs in layers], 1)


def assign(cost: np.ndarray,
           repeats: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Assign predictions to objects at the lowest total cost.

    Most predictions are too expensive for every object. SciPy first solves the
    problem for each object's cheapest predictions. The dual prices of this
    solution show which other predictions could lower the total; if there are
    any, SciPy solves again with them. The total cost equals the optimum of the
    whole problem.

    Args:
        cost: ``(n, M)``, of object and prediction, finite.
        repeats: Number of predictions for each object.

    Returns:
        Objects and their predictions, each ``min(n · repeats, M)`` long. No
        prediction occurs twice.
    """
    count, predictions = cost.shape
    needed = count * repeats
    if needed * predictions <= SMALL or needed >= predictions:
        return _solve(cost, repeats)
    chosen = np.zeros(predictions, bool)
    cheapest = 2 * repeats
    while chosen.sum() < needed:
        if cheapest < predictions:
            limit = np.partition(cost, cheapest - 1)[:, cheapest - 1]
            chosen = (cost <= limit[:, None]).any(0)
        else:
            chosen[:] = True
        cheapest *= 2
    while True:
        places = np.flatnonzero(chosen)
        near = cost[:, places]
        objects, found = _solve(near, repeats)
        prices = _prices(near, found.reshape(repeats, count))
        wanted = (cost < prices[:, None]).any(0) & ~chosen
        if not wanted.any():
            return objects, places[found]
        chosen |= wanted


def _solve(cost: np.ndarray, repeats: int) -> tuple[np.ndarray, np.ndarray]:
    objects, found = linear_sum_assignment(np.tile(cost, (repeats, 1)))
    return objects % len(cost), found


def _prices(cost: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Prices at which every object prefers its own predictions.

    These are the lowest prices of the dual problem: no object's own
    predictions cost more than its price, and no object would gain by taking
    another object's prediction at the price of that.

    Args:
        cost: ``(n, M)``.
        found: ``(repeats, n)``, the predictions of each object in an
            assignment of lowest cost.

    Returns:
        ``(n,)``. Predictions besides these M lower the total only if they cost
        some object less than its price.
    """
    every = np.arange(len(cost))
    # Costs of predictions for every object, copy and owner, and for the owner.
    costs = cost[:, found].astype(float)
    own = costs[every, :, every].T
    prices = own.max(0)
    # Extra cost of another object for the owner's prediction.
    more = (costs - own).min(1)
    for _ in every:
        higher = np.maximum(prices, (prices[:, None] - more).max(0))
        if (higher == prices).all():
            break
        prices = higher
    return prices
