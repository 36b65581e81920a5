"""The layout of an image's tokens: units, their order, and maps.

An image is cut into *units* of 32×32 px, the patches that masked image
modeling hides or shows. A unit holds 8², 4², 2² and 1² tokens at strides 4, 8,
16 and 32. Tokens are stored unit after unit and, inside a unit, along a
Z-curve whose fastest bit is the row. Four neighbours that patch merging joins
are therefore always adjacent, so merging, pooling and upsampling are views,
both on all units of an image and on only the visible ones.

Cached tensors are created outside inference mode, so that training can use
them after an evaluation.
"""
from collections.abc import Callable
from copy import copy
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from .position import sine_position
from .rearrange import Rearrangement
from .relative_bias import Pairs
from .windows import Windows

STRIDES = (4, 8, 16, 32)
UNIT = STRIDES[-1]
PATCH = STRIDES[0]


class Level(NamedTuple):
    """The tokens of one stride.

    Attributes:
        shape: Rows and columns of the map.
        coords: ``(G, n, 2)`` int32, row and column of every token.
        move: The move of the tokens of ``G`` groups to their maps.
        valid: ``(B or 1, n)`` bool, False for tokens that cover only padding;
            None if all are valid.
    """

    shape: tuple[int, int]
    coords: Tensor
    move: Rearrangement
    valid: Tensor | None

    def to_map(self, tokens: Tensor) -> Tensor:
        """``(B, n, C)`` -> ``(B, C, h, w)``, zero where no unit exists."""
        rows = tokens.reshape(-1, len(self.move.target), tokens.shape[2])
        feature = self.move(rows).view(-1, *self.shape, tokens.shape[2])
        return feature.permute(0, 3, 1, 2)

    def from_map(self, feature: Tensor) -> Tensor:
        """``(B, C, h, w)`` -> ``(B, n, C)``, the inverse of :meth:`to_map`."""
        batch, channels = feature.shape[:2]
        places = feature.permute(0, 2, 3, 1).reshape(-1, len(self.move.source),
                                                     channels)
        return self.move.back(places).view(batch, -1, channels)

    def keep_valid(self, tokens: Tensor) -> Tensor:
        """Zero the tokens of padding, ``(B, n, C)`` in and out."""
        if self.valid is None:
            return tokens
        return tokens * self.valid[..., None].to(tokens.dtype)


class TokenGrid:
    """The tokens of a forward pass.

    Shapes do not depend on values, so nothing synchronizes with the device.

    Args:
        units: Rows and columns of units in the image.
        visible: ``(G, V)`` int, the units that exist in image ``b`` in row ``b
            % G``; by default all do.
        sizes: ``(B or 1, 2)`` int, height and width in pixels without padding;
            by default there is no padding.
        device: Device of the grid; by default that of ``visible``.
        repeats: Images of a group moved together, which is faster on CPUs.

    Attributes:
        levels (tuple[Level]): For strides 4, 8, 16 and 32.
        masked (Tensor | None): ``(G, N)`` int64, the other units, ascending.
    """

    def __init__(self,
                 units: tuple[int, int],
                 visible: Tensor | None = None,
                 sizes: Tensor | None = None,
                 device: torch.device | None = None,
                 repeats: int = 1) -> None:
        self.units, self.visible, self.sizes = units, visible, sizes
        self.masked = None
        if visible is None:
            self.levels = _whole_levels(units, device)
        else:
            self.levels = _levels(visible, units, repeats)
            self.masked = masked_units(visible, units[0] * units[1])
        if sizes is not None:
            self.levels = tuple(
                level._replace(
                    valid=(level.coords < -(-sizes // s)[:, None]).all(-1))
                for level, s in zip(self.levels, STRIDES))
        self._windows: dict[tuple[int, int, bool], Windows] = {}
        self._pairs: dict[tuple[int, int, bool], Pairs] = {}
        self._positions: dict[tuple, Tensor] = {}

    @classmethod
    @lru_cache(maxsize=16)
    @torch.inference_mode(False)
    def whole(cls, height: int, width: int,
              device: torch.device) -> 'TokenGrid':
        """The grid of whole images of one size in pixels, one object per size.

        Sizes that are not multiples of 32 are padded at the right and bottom.
        """
        sizes = None
        if height % UNIT or width % UNIT:
            sizes = torch.tensor([[height, width]], device=device)
        units = -(-height // UNIT), -(-width // UNIT)
        return cls(units, None, sizes, device)

    @classmethod
    def padded(cls, padding_mask: Tensor) -> 'TokenGrid':
        """The grid of images of several sizes padded to one size.

        ``padding_mask`` is ``(B, H, W)`` bool, True at padded pixels, which
        lie at the right and bottom; H and W are multiples of 32.
        """
        height, width = padding_mask.shape[1:]
        sizes = [(~padding_mask.all(axis)).sum(1) for axis in (2, 1)]
        return cls((height // UNIT, width // UNIT), None,
                   torch.stack(sizes, 1), padding_mask.device)

    def apply(self, function: Callable[[Tensor], Tensor]) -> 'TokenGrid':
        """Copy the grid with ``function`` applied to its tensors and plans."""
        other = copy(self)
        other._pairs, other._positions = {}, {}
        for name in ('visible', 'sizes', 'masked', 'levels', '_windows'):
            value = tree_map_only(Tensor, function, getattr(self, name))
            setattr(other, name, value)
        return other

    def windows(self, level: int, side: int, shifted: bool) -> Windows:
        """Windows of a level, cached; see :class:`Windows`."""
        shape, coords, _, valid = self.levels[level]
        key = level, side, shifted and max(shape) > side
        if key not in self._windows:
            self._windows[key] = Windows.of(coords, shape, side, key[2], valid,
                                            self._extent(level))
        return self._windows[key]

    def pairs(self, level: int, side: int, shifted: bool) -> Pairs:
        """Pairs of tokens in these windows, cached."""
        key = level, side, shifted and max(self.levels[level].shape) > side
        if key not in self._pairs:
            windows = self.windows(*key)
            self._pairs[key] = Pairs.of(windows.place, windows.cell, side)
        return self._pairs[key]

    def positions(self, level: int, dims: int, dtype: torch.dtype) -> Tensor:
        """Sine positions of a level's tokens, cached.

        ``(G or B, n, dims)``, from pixel coordinates of token centres in the
        image, so levels agree with each other and with boxes.
        """
        key = level, dims, dtype
        if key not in self._positions:
            with torch.inference_mode(False):
                self._positions[key] = self._sine(self.levels[level].coords,
                                                  STRIDES[level], dims, dtype)
        return self._positions[key]

    def masked_positions(self, dims: int, dtype: torch.dtype) -> Tensor:
        """Sine positions of the masked units' centres: ``(G, N, dims)``."""
        assert self.masked is not None
        cols = self.units[1]
        coords = torch.stack([self.masked // cols, self.masked % cols], -1)
        return self._sine(coords, UNIT, dims, dtype)

    def patches(self, images: Tensor) -> Tensor:
        """Existing 4×4 patches: ``(B, 3, H, W)`` -> ``(B, n, 48)``.

        Channels, rows and columns have the order of a convolution's weight.
        """
        units = pick_units(images, self.visible)
        side = (2, 2, 2, PATCH)
        patches = units.unflatten(4, side).unflatten(3, side)
        patches = patches.permute(0, 1, 7, 3, 8, 4, 9, 5, 2, 6, 10)
        return patches.flatten(8).flatten(1, 7)

    def _extent(self, level: int) -> Tensor | None:
        """Rows and columns covered by each image: ``(B or 1, 2)``."""
        return None if self.sizes is None else -(-self.sizes // STRIDES[level])

    def _sine(self, coords: Tensor, stride: int, dims: int,
              dtype: torch.dtype) -> Tensor:
        precise = torch.promote_types(dtype, torch.float32)
        centres = (coords.to(precise) + .5) * stride
        if self.sizes is not None:
            centres = centres / self.sizes[:, None]
        else:
            height, width = (UNIT * n for n in self.units)
            centres = torch.stack(
                [centres[..., 0] / height, centres[..., 1] / width], -1)
        return sine_position(centres, dims).to(dtype)


def _levels(units: Tensor,
            shape: tuple[int, int],
            repeats: int = 1) -> tuple[Level, ...]:
    """Levels of ``(G, V)`` units in an image of rows and columns of units."""
    corner = torch.stack([units // shape[1], units % shape[1]], -1)
    levels = []
    for bits in (3, 2, 1, 0):
        inside = z_curve(bits, units.device)
        coords = (corner[:, :, None] * 2**bits + inside).flatten(1, 2).int()
        rows, cols = (length * 2**bits for length in shape)
        place = coords[..., 0] * cols + coords[..., 1]
        move = Rearrangement.of(place.repeat(repeats, 1), rows * cols)
        levels.append(Level((rows, cols), coords, move, None))
    return tuple(levels)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _whole_levels(units: tuple[int, int],
                  device: torch.device | None) -> tuple[Level, ...]:
    every = torch.arange(units[0] * units[1], device=device)
    return _levels(every[None], units)


@lru_cache(maxsize=None)
def z_curve(bits: int, device: torch.device | None = None) -> Tensor:
    """Rows and columns along a square's Z-curve: ``(4**bits, 2)`` int64.

    The four tokens of a 2×2 block come in the order in which Swin's patch
    merging joins them: down first, then right.
    """
    steps = torch.arange(4**bits)[:, None] >> torch.arange(2)
    coords = torch.zeros_like(steps)
    for bit in range(bits):
        coords |= (steps >> 2 * bit & 1) << bit
    return coords.to(device)


def masked_units(visible: Tensor, total: int) -> Tensor:
    """The complement of visible units.

    Args:
        visible: ``(G, V)`` int.
        total: Units in an image.

    Returns:
        ``(G, total − V)`` int64, ascending.
    """
    shown = visible.new_zeros(len(visible), total, dtype=torch.uint8)
    order = shown.scatter(1, visible.long(), 1).argsort(dim=1, stable=True)
    return order[:, :total - visible.shape[1]]


def pick_units(images: Tensor, index: Tensor | None) -> Tensor:
    """Pixels of units: ``(B, C, H, W)`` -> ``(B, V, C, 32, 32)``.

    ``index`` is ``(G, V)``, the units of image ``b`` in row ``b % G``, or
    None for all.
    """
    units = images.unflatten(3, (-1, UNIT)).unflatten(2, (-1, UNIT))
    units = units.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    if index is None:
        return units
    units = units.unflatten(0, (-1, len(index)))
    group = torch.arange(len(index), device=index.device)[:, None]
    return units[:, group, index].flatten(0, 1)
