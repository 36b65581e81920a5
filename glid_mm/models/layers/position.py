"""Sinusoidal positions, and points spread over an image."""
import math
from functools import lru_cache

import torch
from torch import Tensor


def sine_position(coords: Tensor, dims: int) -> Tensor:
    """2-D sine positions, as in DETR with normalised coordinates.

    ``(..., 2)``, rows and columns as fractions of the image's height and
    width, to ``(..., dims)``; the first half encodes the row.

    Raises:
        ValueError: If ``dims`` is not a multiple of 4.
    """
    if dims % 4:
        raise ValueError(f'dims must be a multiple of 4, got {dims}')
    angles = coords[..., None] * _rates(dims, coords.dtype, coords.device)
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(-2)


@lru_cache(maxsize=None)
@torch.inference_mode(False)
def _rates(dims: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Angular range over the whole image, ``(dims / 4,)``."""
    steps = torch.arange(dims // 4, dtype=torch.float64)
    rates = 2 * math.pi / 10000**(steps * 4 / dims)
    return rates.to(device, dtype)


def spread_points(count: int, device: torch.device | None = None) -> Tensor:
    """Points spread evenly over the unit square, as is every prefix of them.

    ``(count, 2)`` float32, rows and columns: the additive sequence of the
    plastic number, known as R2.
    """
    plastic = 1.324717957244746
    numbers = torch.arange(1, count + 1, device=device)
    points = torch.stack([numbers * (1 / plastic), numbers * (1 / plastic**2)],
                         -1)
    return (points + .5) % 1
