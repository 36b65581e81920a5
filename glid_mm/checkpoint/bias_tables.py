"""Resize and extend tables of position biases.

A table ``((2w−1)², heads)`` holds a bias for every offset in a window of side
w, row by row.
"""
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import require

logger = logging.getLogger('glid_mm')


def table_window(table: Tensor, name: str = 'bias table') -> int:
    """The window side of a table.

    Raises:
        ValueError: If the first axis is not an odd square.
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
    """Resize a table bicubically for another window size."""
    side = 2 * table_window(table) - 1
    grid = table.t().unflatten(1, (side, side))[None]
    grid = F.interpolate(
        grid.double(), size=(2 * window - 1, ) * 2, mode='bicubic')
    return grid[0].flatten(1).t().to(table.dtype).contiguous()


def extend_rim(table: Tensor, trained: int) -> Tensor:
    """Fill the untrained entries of a table.

    A map of ``trained`` tokens a side, 1 to w, has only offsets below
    ``trained``; larger offsets take the value of the nearest trained one.
    """
    window = table_window(table)
    offset = torch.arange(1 - window, window, device=table.device)
    nearest = offset.clamp(1 - trained, trained - 1) + window - 1
    grid = table.unflatten(0, (2 * window - 1, -1))
    return grid[nearest][:, nearest].flatten(0, 1)


def fit_bias_tables(weights: dict[str, Tensor],
                    windows: Sequence[int],
                    prefix: str = '') -> None:
    """Resize the tables of an encoder to other windows, and log one line.

    Args:
        weights: Weights, changed in place.
        windows: Side of the windows of each stage.
        prefix: Prefix of the names of the encoder's weights.

    Raises:
        ValueError: If a weight does not have the shape of a table.
    """
    theirs = list(windows)
    for stage, (extent, tables) in enumerate(_stages(weights, prefix)):
        trained, window = int(weights.get(extent, 0)), windows[stage]
        for name in tables:
            table = weights[name]
            given = table_window(table, name)
            if given == window:
                continue
            theirs[stage] = given
            if 0 < trained < given:
                # Untrained entries must not be mixed in.
                table = extend_rim(table, trained)
            weights[name] = resize_bias_table(table, window)
        if trained and theirs[stage] != window:
            weights[extent] = torch.tensor(window)
    if theirs != list(windows):
        logger.warning('position biases resized from window %s to %s',
                       windows_text(theirs), windows_text(windows))


def extend_rims(weights: dict[str, Tensor], prefix: str = '') -> list[str]:
    """Fill the untrained entries of an encoder's tables after pre-training.

    Pre-training at 192 px trains stage 4 only on windows of 6×6 tokens; the
    larger images of a task need larger offsets.

    Args:
        weights: Weights, changed in place.
        prefix: Prefix of the names of the encoder's weights.

    Returns:
        The changes, one line per stage.
    """
    lines = []
    for number, (extent, tables) in enumerate(_stages(weights, prefix), 1):
        trained = int(weights.get(extent, 0))
        window = table_window(weights[tables[0]])
        if 0 < trained < window:
            for name in tables:
                weights[name] = extend_rim(weights[name], trained)
            weights[extent] = torch.tensor(window)
            lines.append(
                f'stage {number}: position biases, trained for windows of '
                f'{trained}×{trained} tokens, extended to {window}×{window}')
    return lines


def _stages(weights: Mapping[str, Tensor],
            prefix: str) -> Iterator[tuple[str, list[str]]]:
    """Names of each stage's extent and tables.

    The extent is the longer side, in tokens, of the largest window seen in
    pre-training: beyond it the tables are untrained.
    """
    for stage in count():
        start = f'{prefix}stages.{stage}.'
        tables = [
            name for name in weights if name.startswith(start)
            and name.endswith('.relative_position_bias_table')
        ]
        if not tables:
            return
        yield start + 'trained_extent', tables


def _geometric(degree: int) -> Callable[[Tensor, int], Tensor]:
    """Resizing that keeps near offsets finer than far ones (BEiT).

    The old offsets 0, 1, 2, … move to 0, 1, 1 + q, 1 + q + q², …, where q
    moves the last one to the new window's last; a spline of the given degree
    interpolates between them.
    """

    def resize(table: Tensor, window: int) -> Tensor:
        require('scipy', task='resizing position biases')
        from scipy.interpolate import RectBivariateSpline
        old = table_window(table)
        places = _places(old - 1, window - 1)
        wanted = np.arange(1 - window, window)
        grids = table.t().unflatten(1, (2 * old - 1, -1)).double().numpy()
        resized = [
            RectBivariateSpline(places, places, grid, kx=degree,
                                ky=degree)(wanted, wanted) for grid in grids
        ]
        resized = torch.from_numpy(np.stack(resized, -1))
        return resized.flatten(0, 1).to(table.dtype)

    return resize


def _places(offsets: int, reach: int) -> np.ndarray:
    """New places of the offsets of a table of ``2·offsets + 1`` a side."""
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        if (ratio**offsets - 1) / (ratio - 1) > reach:
            high = ratio
        else:
            low = ratio
    places = np.cumsum(ratio**np.arange(offsets))
    return np.concatenate([-places[::-1], [0], places])


#: Methods to resize a table ``((2v−1)², heads)`` for a window w to ``((2w−1)²,
#: heads)``: bicubic (Microsoft, mmdet, mmseg and GLID itself), or with
#: geometric spacing, linear (timm) or by cubic splines (SimMIM, mmpretrain).
RESIZINGS: dict[str, Callable[[Tensor, int], Tensor]] = dict(
    bicubic=resize_bias_table,
    geometric_linear=_geometric(1),
    geometric_cubic=_geometric(3))
