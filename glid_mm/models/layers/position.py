"""Sinusoidal positions."""
import math

import torch
from torch import Tensor


def sine_position(coords: Tensor,
                  dims: int,
                  temperature: float = 10000.) -> Tensor:
    """2-D sine positions, as in DETR with normalised coordinates.

    Args:
        coords (Tensor): ``(..., 2)``, row and column as fractions of the
            image's height and width.
        dims (int): Channels, a multiple of 4: the first half tells the row,
            the second the column.

    Returns:
        Tensor: ``(..., dims)`` in the type of ``coords``.
    """
    if dims % 4:
        raise ValueError(f'dims must be a multiple of 4, got {dims}')
    steps = torch.arange(dims // 4, device=coords.device, dtype=coords.dtype)
    angles = coords[..., None] * (2 * math.pi) / temperature**(
        steps * 4 / dims)
    return torch.cat([angles.sin(), angles.cos()], -1).flatten(-2)
