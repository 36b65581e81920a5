"""Positions: as sinusoids, and as points spread over an image."""
import math
from functools import lru_cache
from typing import Optional

import torch
from torch import Tensor


def sine_position(coords: Tensor,
                  dims: int,
                  temperature: float = 10000.) -> Tensor:
    """2-D sine positions, as in DETR with normalised coordinates.

    Args:
        coords (Tensor): ``(..., 2)``, row and column as fractions of the
            image's height and width.
        dims (int): Channels: the first half tells the row, the second the
            column.

    Returns:
        Tensor: ``(..., dims)`` in the type of ``coords``.

    Raises:
        ValueError: If ``dims`` is not a multiple of 4.
    """
    if dims % 4:
        raise ValueError(f'dims must be a multiple of 4, got {dims}')
    rates = _rates(dims, temperature, coords.dtype, coords.device)
    angles = coords[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(-2)


@lru_cache(maxsize=None)
@torch.inference_mode(False)
def _rates(dims: int, temperature: float, dtype: torch.dtype,
           device: torch.device) -> Tensor:
    """Angles that the whole image goes through, ``(dims / 4,)``."""
    steps = torch.arange(dims // 4, dtype=torch.float64)
    rates = 2 * math.pi / temperature**(steps * 4 / dims)
    return rates.to(device, dtype)


def spread_points(count: int, device: Optional[torch.device] = None) -> Tensor:
    """Points that lie evenly in the unit square, however many of the first.

    They are the additive sequence of the plastic number, known as R2.

    Returns:
        Tensor: ``(count, 2)`` float32, row and column inside of (0, 1).
    """
    plastic = 1.324717957244746
    numbers = torch.arange(1, count + 1, device=device)
    points = torch.stack([numbers * (1 / plastic), numbers * (1 / plastic**2)],
                         -1)
    return (points + .5) % 1
