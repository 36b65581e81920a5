"""Read the user's pictures as in training."""
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..datasets.decode import ImageError, bgr, naming, upright_rgb
from ..datasets.loading import load_image
from ..errors import UserError
from ..visualization.images import find_images

_KINDS = (
    'a file, a folder, a PIL image, an array of shape (height, width, '
    '3) and type uint8 in the order red, green, blue, or a list of these')

# Resizing to a model's size would give the shorter side of a longer strip no
# pixel.
_LEAST = 8


class Picture(NamedTuple):
    """A picture to predict on.

    Attributes:
        name: Name for results, without a suffix; for a file in a folder, its
            path relative to the folder.
        source: The file, or the picture itself.
    """

    name: str
    source: Path | Image.Image

    def pixels(self) -> np.ndarray:
        """Read the picture.

        Returns:
            ``(H, W, 3)`` uint8, BGR, turned upright; see
            :func:`glid_mm.datasets.decode.upright_rgb`.

        Raises:
            UserError: If it cannot be read or is too small; names it.
        """
        if isinstance(self.source, Path):
            pixels = bgr(load_image(str(self.source)))
        else:
            with naming(self.name):
                copy = self.source.copy()
            # A copy loses the format, which 32-bit integers need.
            copy.format = self.source.format
            pixels = bgr(upright_rgb(copy, self.name))
        height, width = pixels.shape[:2]
        if min(height, width) < _LEAST:
            raise ImageError.of(
                self.name, f'{width}×{height} pixels are too few; each side '
                f'needs {_LEAST}')
        return pixels


def is_one(pictures) -> bool:
    """Whether this is one picture rather than several."""
    if isinstance(pictures, (str, Path)):
        return not Path(pictures).expanduser().is_dir()
    return not isinstance(pictures, (list, tuple))


def list_pictures(pictures) -> list[Picture]:
    """List pictures without reading them, each with a unique name.

    Args:
        pictures (str | Path | Image | ndarray | list): Files, folders, PIL
            images and arrays (``(H, W, 3)`` uint8 in RGB, ``(H, W)`` grey or
            ``(H, W, 4)`` with alpha), or a list of these.

    Returns:
        Pictures in the given order, within a folder by name.

    Raises:
        UserError: If there is no such picture, a folder has none, or an item
            is a URL or not a picture.
    """
    used, found = set(), []
    for picture in [pictures] if is_one(pictures) or isinstance(
            pictures, (str, Path)) else pictures:
        for name, source in _sources(picture, len(found)):
            number, free = 0, name
            while free in used:
                number += 1
                free = f'{name}-{number}'
            used.add(free)
            found.append(Picture(free, source))
    return found


def _sources(picture, number: int) -> Iterator[tuple[str, Path | Image.Image]]:
    if isinstance(picture, Picture):
        yield picture
        return
    if isinstance(picture, (str, Path)):
        if '://' in str(picture):
            raise UserError(f'{picture} is a URL, but glid_mm does not '
                            'download anything. Save the picture and give its '
                            'path.')
        path = Path(picture).expanduser()
        for file in find_images([path]):
            inside = file.relative_to(path) if path.is_dir() else file.name
            yield Path(inside).with_suffix('').as_posix(), file
    elif isinstance(picture, Image.Image):
        name = Path(getattr(picture, 'filename', '') or '').stem
        yield name or f'picture-{number}', picture
    else:
        yield f'picture-{number}', _image_of(picture)


def _image_of(array) -> Image.Image:
    if not isinstance(array, np.ndarray):
        hint = (' For a tensor, give tensor.permute(1, 2, 0).numpy().'
                if type(array).__name__ == 'Tensor' else '')
        raise UserError(f'cannot use a {type(array).__name__} as a picture. '
                        f'Give {_KINDS}.{hint}')
    if array.ndim == 4:
        raise UserError(f'an array of shape {array.shape} holds several '
                        'pictures. Give a list: list(array).')
    shape = array.shape[2:] in ((), (1, ), (3, ), (4, )) and array.ndim > 1
    if not shape or not array.size or array.dtype != np.uint8:
        raise UserError(f'cannot use an array of shape {array.shape} and type '
                        f'{array.dtype} as a picture. Give {_KINDS}.')
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    return Image.fromarray(np.ascontiguousarray(array))
