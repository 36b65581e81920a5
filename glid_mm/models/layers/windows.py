"""Which tokens attend to each other in (shifted) windows.

Every block makes one call of attention, whose shapes follow from the shapes
of the input and from no value. There are two ways, of which the one with
fewer pairs is taken:

- *regular*: tokens move into the slots of regular windows, as in Swin. All
  windows share one position bias; slots without a token are no keys.
- *together*: all tokens of an image attend in one call; the bias is −inf
  between windows. It suits the few visible tokens of pre-training, and maps
  that are not larger than a window.
"""
import math
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from .rearrange import Rearrangement
from .relative_bias import Pairs


class Windows(NamedTuple):
    """Windows of a level's tokens.

    Attributes:
        move (Rearrangement | None): From the tokens of ``G`` groups to the
            slots of their windows; None if tokens stay where they are.
        size (int): Slots of a window, ``m``.
        place (Tensor): ``(g, m)`` int32, place of each slot in its window;
            ``g`` is 1 or ``G``.
        cell (Tensor | None): ``(g, m)`` int32, the window each token is in,
            if those of several are attended to together.
        exists (Tensor | None): ``(windows of G groups, m)`` bool, False at
            slots that hold no token or one of padding; None if all do.
        side (int): Side of the window that the places are of.
    """

    move: Optional[Rearrangement]
    size: int
    place: Tensor
    cell: Optional[Tensor]
    exists: Optional[Tensor]
    side: int

    @classmethod
    def of(cls,
           coords: Tensor,
           shape: tuple,
           side: int,
           shifted: bool,
           extent: Optional[Tensor] = None) -> 'Windows':
        """Lay windows over a map.

        A map that is not larger than the window along an axis is not shifted
        along it, as in Swin.

        Args:
            coords (Tensor): ``(G, n, 2)`` int, rows and columns of tokens.
            shape (tuple[int, int]): Rows and columns of the map.
            side (int): Of the windows, in tokens.
            shifted (bool): Whether they are shifted by half their side.
            extent (Tensor, optional): ``(G, 2)`` int, how much of the map
                each image covers; tokens beyond are padding.

        Returns:
            Windows: On the device of ``coords``.
        """
        tokens = coords.shape[1]
        # Moving the image by side − s draws the same borders as rolling it
        # by −s does, without wrapping round.
        step = (side - side // 2) * shifted
        shift = [step * (length > side) for length in shape]
        sides = [min(side, length) for length in shape]
        counts = [-(-(n + s) // w) for n, s, w in zip(shape, shift, sides)]
        cell, inside = [], []
        for axis, (move, length) in enumerate(zip(shift, sides)):
            line = coords[..., axis]
            if move and extent is not None:
                # An image is shifted as it would be alone.
                move = (extent[:, axis, None] > side) * move
            line = line + move
            cell.append(line // length)
            inside.append(line % length)
        cell = cell[0] * counts[1] + cell[1]
        place = inside[0] * side + inside[1]
        valid = None
        if extent is not None:
            valid = (coords < extent[:, None]).all(-1)

        size, windows = math.prod(sides), math.prod(counts)
        if windows == 1:
            return cls(None, tokens, place, None, valid, side)
        if extent is None and tokens**2 <= windows * size**2:
            return cls(None, tokens, place, cell, None, side)
        slot = cell * size + inside[0] * sides[1] + inside[1]
        move = Rearrangement.of(slot, windows * size)
        exists = None if move.empty is None else ~move.empty.view(1, -1)
        if valid is not None:
            valid = valid.view(-1, slot.numel()).index_select(1, move.source)
            exists = valid if exists is None else valid & exists
        if exists is not None:
            exists = exists.view(-1, size)
        slots = torch.arange(
            size, dtype=torch.int32, device=coords.device)[None]
        place = slots // sides[1] * side + slots % sides[1]
        return cls(move, size, place, None, exists, side)

    def pairs(self) -> Pairs:
        """What a block needs of the places, on their device."""
        return Pairs.of(self.place, self.cell, self.side)
