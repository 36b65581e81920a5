"""Tables of relative position biases: other windows, untrained rims."""
import logging
import math
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

logger = logging.getLogger('glid_mm')


def table_window(table: Tensor, name: str = 'bias table') -> int:
    """The window side that a ``((2w−1)², heads)`` table was made for.

    Raises:
        ValueError: If the first axis is no odd square.
    """
    side = math.isqrt(len(table))
    if table.dim() != 2 or side**2 != len(table) or side % 2 == 0:
        raise ValueError(
            f'{name} has shape {tuple(table.shape)}; a table of relative '
            'positions has shape ((2·window − 1)², heads)')
    return (side + 1) // 2


def windows_text(windows: Sequence[int]) -> str:
    """The stages' window sides as text, one number if all are the same."""
    if len(set(windows)) == 1:
        return str(windows[0])
    return '-'.join(map(str, windows))


def resize_bias_table(table: Tensor, window: int) -> Tensor:
    """Resize a table to another window, bicubically.

    Args:
        table (Tensor): ``((2v−1)², heads)`` for a window of side v.
        window (int): The side w that is wanted.

    Returns:
        Tensor: ``((2w−1)², heads)``.
    """
    old = table_window(table)
    grid = table.t().unflatten(1, (2 * old - 1, -1))[None]
    grid = F.interpolate(
        grid.double(),
        size=(2 * window - 1, ) * 2,
        mode='bicubic',
        align_corners=False)
    return grid[0].flatten(1).t().to(table.dtype).contiguous()


@torch.no_grad()
def extend_rim(table: Tensor, trained: int) -> None:
    """Fill a table in place where training has never reached.

    A map of ``trained`` tokens a side shows only offsets below ``trained``;
    offsets beyond take the value of the nearest trained one.

    Args:
        table (Tensor): ``((2w−1)², heads)``.
        trained (int): Tokens a side of the largest window seen, 1..w.
    """
    window = table_window(table)
    offset = torch.arange(1 - window, window, device=table.device)
    nearest = offset.clamp(1 - trained, trained - 1) + window - 1
    grid = table.view(2 * window - 1, 2 * window - 1, -1)
    grid.copy_(grid[nearest][:, nearest].clone())
