"""Masks for the user to click, and their pictures."""
import numpy as np
from PIL import Image, ImageDraw

from ..models.layers.tokens import UNIT

# Approximate minimum side of a picture on the page, in pixels.
_SHOWN = 448
_LINE = (255, 255, 255)
_MASKED = (90, 90, 90)


def enlarged(picture: Image.Image) -> Image.Image:
    """Show the pixels of a small picture as squares."""
    scale = _scale(picture.width)
    return picture.resize((scale * picture.width, scale * picture.height),
                          Image.Resampling.NEAREST)


def with_mask(picture: Image.Image, mask: np.ndarray) -> Image.Image:
    """Draw the units of a picture, masked units in grey.

    Args:
        picture: A picture whose sides are multiples of 32 pixels.
        mask: ``(rows, columns)`` bool, True where masked.

    Returns:
        The enlarged picture; :func:`unit_at` finds units in it.
    """
    shown = enlarged(picture)
    draw = ImageDraw.Draw(shown)
    side = _side(mask)
    for row, column in np.ndindex(mask.shape):
        left, top = column * side, row * side
        draw.rectangle((left, top, left + side - 1, top + side - 1),
                       fill=_MASKED if mask[row, column] else None,
                       outline=_LINE)
    return shown


def unit_at(mask: np.ndarray, x: float, y: float) -> tuple[int, int]:
    """Row and column of the unit at a point of :func:`with_mask`."""
    rows, columns = mask.shape
    row, column = int(y) // _side(mask), int(x) // _side(mask)
    return min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)


def _scale(width: int) -> int:
    return max(1, round(_SHOWN / width))


def _side(mask: np.ndarray) -> int:
    """Displayed size of a unit in pixels."""
    return UNIT * _scale(mask.shape[1] * UNIT)


def toggled(mask: np.ndarray, unit: tuple[int, int]) -> np.ndarray:
    """Mask a unit or show it; at least one of either kind remains."""
    changed = mask.copy()
    changed[unit] = not changed[unit]
    return mask if changed.all() or not changed.any() else changed
