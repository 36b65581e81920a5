"""Image files that people name."""
import io
from collections import Counter
from pathlib import Path
from typing import Iterable, List, Union

import numpy as np
from mmengine import fileio
from PIL import Image, ImageOps

from ..errors import UserError

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def find_images(paths: Iterable[Union[str, Path]]) -> List[Path]:
    """Image files that are named or lie in folders that are named.

    Args:
        paths (Iterable[str | Path]): Files, and folders to look into.

    Returns:
        list[Path]: Files in the given order; those of a folder by name.

    Raises:
        UserError: If a path does not exist or a folder has no images.
    """
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.iterdir()
                            if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise UserError(f'there are no images in the folder {path} '
                                f'({", ".join(SUFFIXES)})')
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise UserError(f'there is no image {path}')
    return found


def list_inputs(inputs) -> List[Union[str, np.ndarray]]:
    """What an inferencer is given, image by image.

    Args:
        inputs (str | Path | ndarray | list): Images: files, folders,
            ``(H, W, 3)`` arrays, or a list of these.

    Returns:
        list[str | ndarray]: Paths of files, and the arrays.

    Raises:
        UserError: As :func:`find_images` does, or if an array is no image.
    """
    found = []
    for image in inputs if isinstance(inputs, (list, tuple)) else [inputs]:
        if not isinstance(image, np.ndarray):
            found += map(str, find_images([image]))
        elif image.ndim == 3 and image.shape[2] == 3:
            found.append(image)
        else:
            raise UserError('an array must be an image of shape (height, '
                            f'width, 3), not {image.shape}')
    return found


def refuse_same_names(images: Iterable[Path]) -> None:
    """Refuse images whose results would be written to one file.

    Raises:
        UserError: Names them.
    """
    for name, count in Counter(image.stem for image in images).items():
        if count > 1:
            raise UserError(f'{count} images are called {name}, and would '
                            'write the same file. Give them one by one, each '
                            'with another --out.')


def read_image(path: Union[str, Path]) -> Image.Image:
    """Read an image, turned upright as hosts do.

    Args:
        path (str | Path): A file, or an address that ``mmengine.fileio``
            knows.

    Returns:
        Image: RGB.

    Raises:
        UserError: If it cannot be read as an image; names it.
    """
    try:
        image = Image.open(io.BytesIO(fileio.get(str(path))))
        return ImageOps.exif_transpose(image).convert('RGB')
    except OSError as error:
        raise UserError(f'cannot read the image {path}: {error}') from error
