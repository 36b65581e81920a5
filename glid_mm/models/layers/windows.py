"""Attention of tokens in (shifted) windows.

Every block calls attention once, with shapes that depend on input shapes only.
It uses one of two methods, whichever has fewer pairs:

- *regular*: tokens move into the slots of regular windows, as in Swin. All
  windows share one position bias; slots without a token are not keys.
- *together*: all tokens of an image attend in one call; the bias is −inf
  between windows. Used for few visible tokens, as in pre-training, and for
  maps that are not larger than a window.
"""
import math
from typing import NamedTuple

import torch
from torch import Tensor

from .rearrange import Rearrangement


class Windows(NamedTuple):
    """Windows of a level's tokens.

    Attributes:
        move: The move of the tokens of ``G`` groups to the slots of their
            windows; None if tokens are not moved.
        place: ``(g, m)`` int32, row · side + column of each slot in its
            window; ``g`` is 1 or ``G``.
        cell: ``(g, m)`` int32, the window of each token, if several windows
            share an attention.
        exists: ``(windows of G groups, m)`` bool, False at slots without a
            token or with a padding token; None if there are none.
    """

    move: Rearrangement | None
    place: Tensor
    cell: Tensor | None
    exists: Tensor | None

    @classmethod
    @torch.inference_mode(False)
    def of(cls, coords: Tensor, shape: tuple, side: int, shifted: bool,
           valid: Tensor | None, extent: Tensor | None) -> 'Windows':
        """Divide a map of rows and columns into windows.

        Shifted windows move by half their side, except along axes on which the
        map is not larger than the window, as in Swin. ``coords`` are ``(G, n,
        2)``. If there is padding, ``valid`` is ``(B, n)`` and ``extent`` is
        ``(B, 2)``, the rows and columns of an image.
        """
        # Moving the image by side − s gives the same borders as rolling it by
        # −s, without wrapping.
        step = (side - side // 2) * shifted
        shift = [step * (length > side) for length in shape]
        sides = [min(side, length) for length in shape]
        counts = [-(-(n + s) // w) for n, s, w in zip(shape, shift, sides)]
        cells, inside = [], []
        for axis, (move, length) in enumerate(zip(shift, sides)):
            if move and extent is not None:
                # An image is shifted as if it were alone in the batch.
                move = (extent[:, axis, None] > side) * move
            line = coords[..., axis] + move
            cells.append(line // length)
            inside.append(line % length)
        cell = cells[0] * counts[1] + cells[1]

        size, windows = math.prod(sides), math.prod(counts)
        fewer = coords.shape[1]**2 <= windows * size**2
        if windows == 1 or valid is None and fewer:
            place = inside[0] * side + inside[1]
            return cls(None, place, None if windows == 1 else cell, valid)
        slot = cell * size + inside[0] * sides[1] + inside[1]
        move = Rearrangement.of(slot, windows * size)
        if valid is None and move.empty is not None:
            valid = torch.ones_like(slot, dtype=torch.bool)
        if valid is not None:
            # Empty slots get 0. ONNX Runtime cannot fill booleans.
            valid = move(valid.view(-1, slot.numel(), 1).int()).view(-1, size)
            valid = valid > 0
        slots = torch.arange(size, dtype=torch.int32, device=coords.device)
        place = slots // sides[1] * side + slots % sides[1]
        return cls(move, place[None], None, valid)
