"""Image files named by the user, and pictures of model inputs."""
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from ..datasets.folders import SUFFIXES, list_images
from ..datasets.loading import load_image
from ..errors import UserError


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """Find image files in a list of files and folders.

    Args:
        paths: Files and folders.

    Returns:
        Files in the given order; within a folder and its subfolders by name.

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


def list_inputs(inputs) -> list[str | np.ndarray]:
    """The inputs of an inferencer, image by image.

    Args:
        inputs (str | Path | ndarray | list): Images: files, folders,
            ``(H, W, 3)`` uint8 arrays, BGR, or a list of these.

    Returns:
        Paths of files, and the arrays.

    Raises:
        UserError: See :func:`find_images`; or if an array is not an image.
    """
    found = []
    for image in inputs if isinstance(inputs, (list, tuple)) else [inputs]:
        if isinstance(image, (str, Path)):
            found += map(str, find_images([image]))
        elif not isinstance(image, np.ndarray):
            raise UserError('an image must be a file, a folder or an '
                            f'array, not {type(image).__name__}')
        elif (image.ndim == 3 and image.shape[2] == 3 and image.size
              and image.dtype == np.uint8):
            found.append(image)
        else:
            raise UserError(
                'an array must be an image of shape (height, width, 3) and '
                f'type uint8, in the order blue, green, red; not '
                f'{image.shape}, {image.dtype}')
    return found


def rgb_pixels(image: str | np.ndarray) -> np.ndarray:
    """Pixels of an input from :func:`list_inputs`, to draw on.

    Args:
        image: A file, or ``(H, W, 3)`` uint8, BGR.

    Returns:
        ``(H, W, 3)`` uint8, RGB.

    Raises:
        UserError: If the file cannot be read as an image.
    """
    if isinstance(image, np.ndarray):
        return np.ascontiguousarray(image[..., ::-1])
    return np.array(load_image(image))


def refuse_same_names(images: Iterable[Path]) -> None:
    """Refuse images whose results would be written to the same file.

    Raises:
        UserError: If there are any; names them.
    """
    for name, count in Counter(image.stem for image in images).items():
        if count > 1:
            raise UserError(f'{count} images are called {name} and would '
                            'write the same file. Run each with its own '
                            '--out.')


def load_images(paths: Sequence, size: tuple[int, int]) -> Tensor:
    """Read images, resized and centre-cropped.

    Args:
        paths (Sequence[str | Path]): Image files, or addresses that
            ``mmengine.fileio`` supports.
        size: Height and width in pixels.

    Returns:
        ``(B, 3, H, W)`` uint8, BGR as hosts load images.

    Raises:
        UserError: If a file cannot be read as an image; names it.
    """
    return fit_images(map(load_image, paths), size)


def fit_images(images: Iterable[Image.Image], size: tuple[int, int]) -> Tensor:
    """Resize and centre-crop images.

    Args:
        images: Images in RGB.
        size: Height and width in pixels.

    Returns:
        ``(B, 3, H, W)`` uint8, BGR as hosts load images.
    """
    fitted = [
        ImageOps.fit(image, size[::-1], Image.Resampling.BICUBIC)
        for image in images
    ]
    return torch.from_numpy(
        np.stack([np.array(x)[..., ::-1].transpose(2, 0, 1) for x in fitted]))


def to_pictures(inputs: Tensor, preprocessor: nn.Module) -> np.ndarray:
    """Undo a preprocessor of any host.

    Args:
        inputs: ``(B, 3, H, W)``, standardised.
        preprocessor: The preprocessor that standardised them.

    Returns:
        ``(B, H, W, 3)`` uint8 RGB.
    """
    if preprocessor._enable_normalize:
        inputs = inputs * preprocessor.std + preprocessor.mean
    if not takes_rgb(preprocessor):
        inputs = inputs.flip(1)
    pixels = inputs.round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).cpu().numpy()


def takes_rgb(preprocessor: nn.Module) -> bool:
    """Whether a model reads RGB; hosts load BGR, and preprocessors swap.

    Args:
        preprocessor: Preprocessor of a model of any host.
    """
    # Upstream's mmseg uses another name.
    return getattr(preprocessor, '_channel_conversion',
                   getattr(preprocessor, 'channel_conversion', False))
