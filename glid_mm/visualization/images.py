"""Image files that people name."""
from collections import Counter
from pathlib import Path
from typing import Iterable, List, Union

import numpy as np

from ..datasets.folders import SUFFIXES, list_images
from ..datasets.loading import load_image
from ..errors import UserError


def find_images(paths: Iterable[Union[str, Path]]) -> List[Path]:
    """Image files that are named or lie in folders that are named.

    Args:
        paths (Iterable[str | Path]): Files, and folders to look into.

    Returns:
        list[Path]: Files in the given order; those of a folder and of the
        folders below it by name.

    Raises:
        UserError: If a path does not exist or a folder has no images.
    """
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = list_images(path)
            if not inside:
                raise UserError(f'there are no images in the folder {path} '
                                f'({", ".join(SUFFIXES)})')
            found += [path / name for name in inside]
        elif path.exists():
            found.append(path)
        else:
            raise UserError(f'there is no image {path}')
    return found


def list_inputs(inputs) -> List[Union[str, np.ndarray]]:
    """What an inferencer is given, image by image.

    Args:
        inputs (str | Path | ndarray | list): Images: files, folders,
            ``(H, W, 3)`` uint8 arrays, BGR, or a list of these.

    Returns:
        list[str | ndarray]: Paths of files, and the arrays.

    Raises:
        UserError: As :func:`find_images` does, or if an array is no image.
    """
    found = []
    for image in inputs if isinstance(inputs, (list, tuple)) else [inputs]:
        if isinstance(image, (str, Path)):
            found += map(str, find_images([image]))
        elif not isinstance(image, np.ndarray):
            raise UserError('an image is given as a file, a folder or an '
                            f'array, not as {type(image).__name__}')
        elif (image.ndim == 3 and image.shape[2] == 3 and image.size
              and image.dtype == np.uint8):
            found.append(image)
        else:
            raise UserError(
                'an array must be an image of shape (height, width, 3) and '
                f'type uint8, in the order blue, green, red; not '
                f'{image.shape}, {image.dtype}')
    return found


def rgb_pixels(image: Union[str, np.ndarray]) -> np.ndarray:
    """Pixels to draw on of what :func:`list_inputs` gives.

    Args:
        image (str | ndarray): A file, or ``(H, W, 3)`` uint8, BGR.

    Returns:
        ndarray: ``(H, W, 3)`` uint8, RGB.

    Raises:
        UserError: If the file cannot be read as an image.
    """
    if isinstance(image, np.ndarray):
        return np.ascontiguousarray(image[..., ::-1])
    return np.array(load_image(image))


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
