"""Combine several pictures in one."""
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 4
TITLE_HEIGHT = 20
BACKGROUND = 255


def tile(
    rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str] = ()
) -> np.ndarray:
    """Arrange pictures in rows and columns.

    Args:
        rows: Pictures ``(H, W, 3)``, uint8 RGB. They keep their size; all
            cells have the size of the largest.
        titles: Titles above the columns.

    Returns:
        ``(H', W', 3)`` uint8 RGB.
    """
    height, width = (
        max(image.shape[axis] for row in rows for image in row)
        for axis in (0, 1))
    columns = max(len(row) for row in rows)
    top = TITLE_HEIGHT if titles else 0
    panel = np.full((top + len(rows) * (height + GAP) - GAP, columns *
                     (width + GAP) - GAP, 3), BACKGROUND, np.uint8)
    for r, row in enumerate(rows):
        for c, image in enumerate(row):
            y, x = top + r * (height + GAP), c * (width + GAP)
            panel[y:y + image.shape[0], x:x + image.shape[1]] = image
    if titles:
        picture = Image.fromarray(panel)
        draw = ImageDraw.Draw(picture)
        font = ImageFont.load_default(12)
        for c, title in enumerate(titles):
            middle = c * (width + GAP) + width // 2, TITLE_HEIGHT // 2
            draw.text(middle, title, fill=0, font=font, anchor='mm')
        panel = np.array(picture)
    return panel
