"""Where the tokens of an image lie: units, their order, and maps.

An image is cut into *units* of 32×32 px, the patches that masked image
modeling hides or shows. A unit holds 8², 4², 2² and 1² tokens at strides
4, 8, 16 and 32. Tokens are stored unit after unit and, inside a unit, along
a Z-curve whose fastest bit is the row. Four neighbours that patch merging
joins are therefore always adjacent, so merging, pooling and upsampling are
views, on all units of an image as on the visible ones alone.
"""
from functools import lru_cache
from typing import Dict, Optional, Tuple

import torch
from torch import Tensor

from .rearrange import Rearrangement

STRIDES = (4, 8, 16, 32)
UNIT = STRIDES[-1]
PATCH = STRIDES[0]


class TokenGrid:
    """The tokens that a forward pass computes on.

    Args:
        units (tuple[int, int]): Rows and columns of units in the image.
        visible (Tensor, optional): ``(G, V)`` int64, the units that exist,
            for ``G`` groups of images; image ``b`` belongs to group
            ``b % G``. None: every unit exists.
        valid (tuple[Tensor], optional): Per level ``(B or 1, n)`` bool,
            False where a token covers nothing but padding. None: all are
            valid.
        device (torch.device, optional): Where the bookkeeping lies.

    Attributes:
        cache (dict): Bookkeeping that layers derive from the grid and keep
            with it, so that it is computed once and not by every block.
    """

    def __init__(self,
                 units: Tuple[int, int],
                 visible: Optional[Tensor] = None,
                 valid: Optional[Tuple[Tensor, ...]] = None,
                 device: Optional[torch.device] = None) -> None:
        self.units = units
        self.visible = visible
        self.valid = valid
        self.device = device
        self.cache: Dict[tuple, object] = {}

    @classmethod
    @lru_cache(maxsize=16)
    def whole(cls, height: int, width: int,
              device: torch.device) -> 'TokenGrid':
        """The grid of whole images of one size; one object per shape.

        Sizes that are no multiples of 32 are padded to the right and below.
        """
        below, right = -height % UNIT, -width % UNIT
        if not (below or right):
            return cls((height // UNIT, width // UNIT), device=device)
        with torch.inference_mode(False):
            mask = torch.ones(
                1, height + below, width + right, dtype=torch.bool)
            mask[:, :height, :width] = False
            return cls.padded(mask.to(device))

    @classmethod
    def padded(cls, padding_mask: Tensor) -> 'TokenGrid':
        """The grid of images of several sizes padded to one.

        Args:
            padding_mask (Tensor): ``(B or 1, H, W)`` bool, True at padded
                pixels; H and W are multiples of 32.
        """
        valid = [_to_patches(~padding_mask[:, None]).any(-1)]
        for _ in STRIDES[1:]:
            valid.append(valid[-1].unflatten(1, (-1, 4)).any(-1))
        height, width = padding_mask.shape[1:]
        return cls((height // UNIT, width // UNIT), None, tuple(valid),
                   padding_mask.device)

    @property
    def groups(self) -> int:
        """Number of layouts; image ``b`` of a batch has ``b % groups``."""
        if self.visible is not None:
            return len(self.visible)
        return 1 if self.valid is None else len(self.valid[0])

    def coords(self, level: int) -> Tensor:
        """Row and column of every token: ``(G, n, 2)`` int64."""
        units = self.visible
        if units is None:
            units = torch.arange(
                self.units[0] * self.units[1], device=self.device)
            units = units.expand(self.groups, -1)
        corner = torch.stack([units // self.units[1], units % self.units[1]],
                             -1) * (
                                 UNIT // STRIDES[level])
        inside = z_curve(_bits(level)).to(units.device)
        return (corner[:, :, None] + inside).flatten(1, 2)

    def extent(self, level: int) -> Tensor:
        """Rows and columns that the image itself covers: ``(G, 2)``."""
        coords = self.coords(level)
        if self.valid is not None:
            coords = coords.masked_fill(~self.valid[level][..., None], 0)
            return coords.amax(1) + 1
        scale = UNIT // STRIDES[level]
        return coords.new_tensor(self.units).mul(scale).expand(self.groups, 2)

    def keep_valid(self, tokens: Tensor, level: int) -> Tensor:
        """Zero the tokens of padding; ``(B, n, C)`` in and out."""
        if self.valid is None:
            return tokens
        return tokens * self.valid[level][..., None].to(tokens.dtype)

    def patches(self, images: Tensor) -> Tensor:
        """The 4×4 patches that exist: ``(B, 3, H, W)`` -> ``(B, n, 48)``.

        Channel, row and column run as in the weight of a convolution.
        """
        if self.visible is None:
            return _to_patches(images)
        return _to_patches(self.visible_units(images).flatten(0, 1)).unflatten(
            0, (len(images), -1)).flatten(1, 2)

    def visible_units(self, images: Tensor) -> Tensor:
        """Pixels of units: ``(B, C, H, W)`` -> ``(B, V, C, 32, 32)``."""
        return pick_units(images, self.visible.to(images.device))

    def to_map(self, tokens: Tensor, level: int) -> Tensor:
        """Lay tokens out as a map; it is zero where no unit exists.

        Args:
            tokens (Tensor): ``(B, n, C)``.
            level (int): 0..3 for strides 4..32.

        Returns:
            Tensor: ``(B, C, H / stride, W / stride)``, channels last in
            memory.
        """
        batch, _, channels = tokens.shape
        move, (rows, cols) = self._to_map(level)
        feature = move(tokens.reshape(-1, len(move.target), channels))
        return feature.view(batch, rows, cols, channels).permute(0, 3, 1, 2)

    def from_map(self, feature: Tensor, level: int) -> Tensor:
        """Inverse of :meth:`to_map`: ``(B, C, h, w)`` -> ``(B, n, C)``."""
        batch, channels = feature.shape[:2]
        move = self._to_map(level)[0].reversed()
        tokens = move(
            feature.permute(0, 2, 3, 1).reshape(-1, len(move.target),
                                                channels))
        return tokens.view(batch, -1, channels)

    @torch.compiler.disable
    def _to_map(self, level: int) -> Tuple[Rearrangement, Tuple[int, int]]:
        """From tokens to pixels of the map, and the size of the map."""
        key = (TokenGrid._to_map, level)
        if key not in self.cache:
            rows, cols = (n * (UNIT // STRIDES[level]) for n in self.units)
            coords = self.coords(level)
            if self.visible is None:
                coords = coords[:1]  # all images are laid out alike
            group = torch.arange(len(coords), device=coords.device)[:, None]
            with torch.inference_mode(False):
                place = (group * rows + coords[..., 0]) * cols + coords[..., 1]
                move = Rearrangement.of(place.flatten(),
                                        len(coords) * rows * cols)
            self.cache[key] = move, (rows, cols)
        return self.cache[key]


@lru_cache(maxsize=None)
def z_curve(bits: int) -> Tensor:
    """Rows and columns along the Z-curve of a square of side ``2**bits``.

    The four tokens of a 2×2 block come in the order in which Swin's patch
    merging joins them: down first, then right.

    Returns:
        Tensor: ``(4**bits, 2)`` int64.
    """
    steps = torch.arange(4**bits)
    coords = torch.zeros(4**bits, 2, dtype=torch.int64)
    for bit in range(bits):
        coords[:, 0] |= (steps >> 2 * bit & 1) << bit
        coords[:, 1] |= (steps >> 2 * bit + 1 & 1) << bit
    return coords


def pick_units(images: Tensor, index: Tensor) -> Tensor:
    """Pixels of some units.

    Args:
        images (Tensor): ``(B, C, H, W)``, H and W multiples of 32.
        index (Tensor): ``(G, V)`` int64, units of image ``b`` in row
            ``b % G``.

    Returns:
        Tensor: ``(B, V, C, 32, 32)``.
    """
    rows, cols = images.shape[-2] // UNIT, images.shape[-1] // UNIT
    units = images.unflatten(3, (cols, UNIT)).unflatten(2, (rows, UNIT))
    units = units.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    units = units.unflatten(0, (-1, len(index)))
    group = torch.arange(len(index), device=index.device)[:, None]
    return units[:, group, index].flatten(0, 1)


def _bits(level: int) -> int:
    return len(STRIDES) - 1 - level


def _to_patches(images: Tensor) -> Tensor:
    """``(B, C, H, W)`` -> ``(B, n, C·16)``, patches in token order."""
    batch, channels, height, width = images.shape
    rows, cols = height // UNIT, width // UNIT
    patches = images.reshape(batch, channels, rows, 2, 2, 2, PATCH, cols, 2, 2,
                             2, PATCH)
    patches = patches.permute(0, 2, 7, 8, 3, 9, 4, 10, 5, 1, 6, 11)
    return patches.reshape(batch, rows * cols * 64, channels * PATCH**2)
