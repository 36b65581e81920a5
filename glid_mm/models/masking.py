"""Draw the units of an image to mask in pre-training."""
import math

import torch
from torch import Tensor


def sample_visible(units: tuple[int, int],
                   ratio: float = .75,
                   strategy: str = 'random',
                   groups: int = 1,
                   generator: torch.Generator | None = None) -> Tensor:
    """Draw the units that stay visible (paper §3.1 and Table 7).

    Args:
        units: Rows and columns of units.
        ratio: Share of units to mask, rounded to whole units; at least one
            unit is masked and one visible.
        strategy: 'random' draws units uniformly; 'block' masks random
            rectangles, as in BEiT; 'grid' keeps a shifted lattice.
        groups: Number of masks to draw.
        generator: Source of randomness, on CPU.

    Returns:
        ``(groups, V)`` int64 on CPU, ascending.

    Raises:
        ValueError: If the ratio is not inside (0, 1), the strategy is unknown,
            or the image is a single unit.
    """
    if not 0 < ratio < 1:
        raise ValueError(
            f'mask ratio must lie strictly between 0 and 1, got {ratio}: '
            'at 0 there is nothing to predict, at 1 nothing to see')
    if strategy not in _STRATEGIES:
        raise ValueError(f'no mask strategy {strategy!r}; choose one of '
                         f'{", ".join(_STRATEGIES)}')
    total = units[0] * units[1]
    if total < 2:
        raise ValueError(
            'an image of one 32×32 unit cannot be masked in part; pre-train '
            'on larger images')
    keep = min(max(round(total * (1 - ratio)), 1), total - 1)
    scores = torch.stack(
        [_STRATEGIES[strategy](units, keep, generator) for _ in range(groups)])
    order = scores.flatten(1).argsort(dim=1, stable=True)
    return order[:, :keep].sort(1).values


def _random(units, keep, generator) -> Tensor:
    return torch.rand(units, generator=generator)


def _block(units, keep, generator) -> Tensor:
    """Mask rectangles until no more than ``keep`` units are left."""
    rows, cols = units
    masked = torch.zeros(units)
    while (missing := rows * cols - keep - int(masked.sum())) > 0:
        area, aspect = torch.rand(2, generator=generator).tolist()
        area = 1 + area * missing
        aspect = math.exp((2 * aspect - 1) * math.log(3))
        height = min(max(round(math.sqrt(area * aspect)), 1), rows)
        width = min(max(round(math.sqrt(area / aspect)), 1), cols)
        top = int(torch.randint(rows - height + 1, (), generator=generator))
        left = int(torch.randint(cols - width + 1, (), generator=generator))
        masked[top:top + height, left:left + width] = 1
    # The last rectangle may mask too many units, so some become visible again.
    return masked + torch.rand(units, generator=generator) / 2


def _grid(units, keep, generator) -> Tensor:
    """Rank units as in ordered dithering: every prefix forms a lattice."""
    bits = max(max(units) - 1, 1).bit_length()
    offset = torch.randint(2**bits, (2, ), generator=generator)
    row = (torch.arange(units[0]) + offset[0])[:, None]
    col = (torch.arange(units[1]) + offset[1])[None]
    rank = torch.zeros(units)
    for bit in range(bits):
        quarter = 2 * ((row ^ col) >> bit & 1) + (row >> bit & 1)
        rank = rank + quarter * 4.**-bit
    return rank


_STRATEGIES = dict(random=_random, block=_block, grid=_grid)
