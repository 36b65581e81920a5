"""Which tokens attend to each other in (shifted) windows.

Tokens are sorted into windows by their coordinates, so the same few lines
serve whole images, padded batches and visible units: tokens that do not
exist are simply in no window. Windows of one shape are attended to together
by one fused attention and share one position bias without any mask; windows
that are not completely filled are padded to the fullest of their class.
"""
from typing import List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from .rearrange import Rearrangement
from .tokens import TokenGrid

# Incomplete windows are sorted by size into this many classes, each padded
# to its own fullest. More classes waste less on padding and launch more.
SIZE_CLASSES = 3


class WindowClass(NamedTuple):
    """Windows that are padded to one size and attended to together.

    Attributes:
        windows (int): Number of windows.
        size (int): Number of slots in each.
        bias_index (Tensor): ``(windows or 1, size, size)`` int64 index into
            the table of relative positions.
        blocked (Tensor | None): ``(windows, size, size)`` bool, pairs whose
            key does not exist.
    """

    windows: int
    size: int
    bias_index: Tensor
    blocked: Optional[Tensor]


class WindowPlan(NamedTuple):
    """Windows of all images that share a plan.

    Attributes:
        gather (Rearrangement | None): From tokens to window slots. None:
            they are the same.
        classes (tuple[WindowClass]): In the order of the slots.
    """

    gather: Optional[Rearrangement]
    classes: Tuple[WindowClass, ...]


@torch.compiler.disable
def plan_windows(grid: TokenGrid, level: int, window: int,
                 shifted: bool) -> WindowPlan:
    """The window plan of a grid, kept in the grid's cache.

    A map that is not larger than the window along an axis is not shifted
    along it, as in Swin. Planning depends on values and is no part of
    compiled graphs; one forward pass before ``torch.export`` plans ahead.
    """
    key = (plan_windows, level, window, shifted)
    if key not in grid.cache:
        # Plans outlive the pass that makes them: no inference tensors.
        with torch.inference_mode(False), torch.no_grad():
            grid.cache[key] = _plan(grid, level, window, shifted)
    return grid.cache[key]


def _plan(grid: TokenGrid, level: int, window: int,
          shifted: bool) -> WindowPlan:
    coords = grid.coords(level)
    groups, tokens = coords.shape[:2]
    exists = (coords.new_ones(groups, tokens, dtype=torch.bool)
              if grid.valid is None else grid.valid[level]).flatten()

    shift = torch.zeros_like(coords[:, :1])
    if shifted:
        # Moving the image by window − s draws the same borders as rolling
        # it by −s does, without wrapping round.
        shift = ((grid.extent(level) > window) * (window - window // 2))[:,
                                                                         None]
    moved = coords + shift
    cell, offset = moved // window, moved % window
    per_row = int(cell[..., 1].max()) + 1
    per_image = (int(cell[..., 0].max()) + 1) * per_row
    image = torch.arange(groups, device=coords.device)[:, None]
    cell = image * per_image + cell[..., 0] * per_row + cell[..., 1]
    place = (offset[..., 0] * window + offset[..., 1]).flatten()

    order = (cell.flatten() * window**2 + place).argsort()
    order = order[exists[order]]
    _, counts = torch.unique_consecutive(
        cell.flatten()[order], return_counts=True)
    starts = counts.cumsum(0) - counts
    slot = torch.arange(int(counts.max()), device=coords.device)
    filled = slot < counts[:, None]
    index = order[(starts[:, None] + slot).clamp(max=len(order) - 1)]
    places = place[index].masked_fill(~filled, -1)

    index = index.masked_fill(~filled, -1)

    classes, slots = [], []
    for members in _size_classes(places, counts):
        size = int(counts[members].max())
        classes.append(_window_class(places[members, :size], window))
        slots.append(index[members, :size].flatten())
    source = torch.cat(slots)
    if torch.equal(source, torch.arange(groups * tokens,
                                        device=source.device)):
        return WindowPlan(None, tuple(classes))
    gather = Rearrangement.of(source, groups * tokens).reversed()
    return WindowPlan(gather, tuple(classes))


def _size_classes(places: Tensor, counts: Tensor) -> List[Tensor]:
    """Members of each class: like the fullest window first, then by size."""
    fullest = places[counts.argmax()]
    alike = (places == fullest).all(-1)
    classes = [alike.nonzero().flatten()]
    rest = (~alike).nonzero().flatten()
    if len(rest):
        rest = rest[counts[rest].argsort(descending=True, stable=True)]
        classes.extend(rest.chunk(SIZE_CLASSES))
    return classes


def _window_class(places: Tensor, window: int) -> WindowClass:
    """Bias index and mask of ``(windows, size)`` places, −1 for none."""
    windows, size = places.shape
    empty = places < 0
    if bool((places == places[0]).all()):
        places = places[:1]
    row, col = places // window, places % window
    bias_index = ((row[:, :, None] - row[:, None] + window - 1) *
                  (2 * window - 1) + col[:, :, None] - col[:, None] + window -
                  1)
    blocked = None
    if bool(empty.any()):
        # A slot that holds nothing may still attend to itself, so that its
        # softmax is defined.
        itself = torch.eye(size, dtype=torch.bool, device=places.device)
        blocked = empty[:, None] & ~itself
        bias_index = bias_index.masked_fill(empty[:, None] | empty[:, :, None],
                                            0)
    return WindowClass(windows, size, bias_index, blocked)
