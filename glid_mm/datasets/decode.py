"""Decode only as much of an image as its crop needs.

JPEG stores blocks of 8×8 pixels as frequencies, so half, a quarter or an
eighth of the resolution is cheaper to decode than all of it. A crop that will
be scaled down does not need a finer resolution.
"""
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from PIL import ExifTags, Image, UnidentifiedImageError
from torch.nn import functional

from ..errors import UserError

Box = tuple[float, float, float, float]

# EXIF orientations that swap the sides of the stored image, and those whose
# upright image begins at its right or lower edge.
_TURNED, _FROM_RIGHT, _FROM_BELOW = {5, 6, 7, 8}, {2, 3, 6, 7}, {3, 4, 7, 8}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# The colour behind transparent pixels: the mean of ImageNet, as behind grey
# images with alpha in OpenMMLab. Black drawings would vanish on black.
BACKGROUND = (124, 117, 104)

# Brands of HEIC in the file's first box. Pillow cannot read these without a
# plugin.
_HEIC = (b'heic', b'heix', b'hevc', b'hevx', b'heim', b'heis', b'mif1',
         b'msf1')


class ImageError(UserError):
    """A picture cannot be used: it is damaged or in an unknown format.

    Files that cannot be opened or read at all raise other errors.

    Attributes:
        reason (str): The reason for the error.
    """
    reason = ''

    @classmethod
    def of(cls, name: str, reason: str) -> 'ImageError':
        """Create an error; data loaders recreate it from its text alone."""
        error = cls(f'cannot read the image {name}: {reason}')
        error.reason = reason
        return error


class Crop(NamedTuple):
    """A part of an image, perhaps at reduced scale.

    Attributes:
        image: RGB, whole pixels that cover the part.
        box: Left, top, right and bottom edge of the part in it.
    """

    image: Image.Image
    box: Box

    def resize(self, size: tuple[int, int], interpolation: str) -> np.ndarray:
        """Resize the part.

        Args:
            size: Width and height.
            interpolation: 'bilinear' or 'bicubic', with antialiasing when
                shrinking.

        Returns:
            ``(H, W, 3)`` uint8, BGR.
        """
        if self.box != (0, 0, *self.image.size):
            resample = Image.Resampling[interpolation.upper()]
            return bgr(self.image.resize(size, resample, self.box))
        # PyTorch gives Pillow's result in a quarter of the time.
        pixels = torch.from_numpy(bgr(self.image)).permute(2, 0, 1)
        pixels = functional.interpolate(
            pixels[None], size[::-1], mode=interpolation, antialias=True)
        return pixels[0].permute(1, 2, 0).numpy()


class EncodedImage:
    """An image that is decoded when its crop is known.

    Args:
        data: The content of an image file.
        name: Name in error messages: the path.

    Attributes:
        size (tuple[int, int]): Width and height, turned upright.

    Raises:
        ImageError: If this is not a usable image.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._name = name
        image = open_image(data, name)
        self._orientation = 1
        if image.format in ('JPEG', 'MPO'):
            self._orientation = orientation(image)
        else:
            # Headers of other formats may be wrong about the size.
            image = upright_rgb(image, name)
        self._image = image
        turned = self._orientation in _TURNED
        self.size = image.size[::-1] if turned else image.size

    def crop(self,
             box: tuple[int, int, int, int],
             size: tuple[int, int] | None = None) -> Crop:
        """Decode a part. This works only once per image.

        Args:
            box: Left, top, right and bottom edge in the upright image.
            size: Minimum width and height of the part, as far as its
                resolution allows. By default it is decoded at full resolution.

        Returns:
            The part; at full resolution, its exact pixels.

        Raises:
            ImageError: If the file is damaged.
        """
        scale = self._reduce(box, size) if size else 1
        image = upright_rgb(self._image, self._name)
        if scale == 1:
            return Crop(
                image.crop(box), (0, 0, box[2] - box[0], box[3] - box[1]))
        # The reduced image starts at the same edge as the stored one and is
        # rounded up at the other end, which comes first after some rotations.
        before = [(reduced - whole / scale) * (self._orientation in mirrored)
                  for reduced, whole, mirrored in zip(image.size, self.size, (
                      _FROM_RIGHT, _FROM_BELOW))]
        exact = [edge / scale + before[i % 2] for i, edge in enumerate(box)]
        left, top = map(math.floor, exact[:2])
        right, bottom = map(math.ceil, exact[2:])
        return Crop(
            image.crop((left, top, right, bottom)),
            tuple(edge - (left, top)[i % 2] for i, edge in enumerate(exact)))

    def _reduce(self, box, size) -> int:
        """Let the decoder reduce the image; returns the factor."""
        scale = min((box[2] - box[0]) // size[0], (box[3] - box[1]) // size[1])
        scale = max((s for s in (2, 4, 8) if s <= scale), default=1)
        width, height = self._image.size
        # Pillow chooses the strongest reduction that still gives this size.
        if scale > 1 and self._image.draft(None,
                                           (width // scale, height // scale)):
            return scale
        return 1


def decode_image(data: bytes, name: str) -> Image.Image:
    """Decode a picture, in the same way for every task.

    See :func:`upright_rgb`.

    Args:
        data: The content of an image file.
        name: Name in error messages: the path.

    Returns:
        The picture in RGB.

    Raises:
        ImageError: See :func:`open_image` and :func:`upright_rgb`.
    """
    return upright_rgb(open_image(data, name), name)


def open_image(data: bytes, name: str) -> Image.Image:
    """Read the header of a picture.

    Args:
        data: The content of an image file.
        name: Name in error messages: the path.

    Returns:
        The image in any mode, not decoded yet.

    Raises:
        ImageError: If Pillow does not support the format, the image exceeds
            Pillow's limit, or the checksums of a PNG are wrong.
    """
    with naming(name):
        try:
            image = Image.open(io.BytesIO(data))
            if image.format == 'PNG':
                # Check the checksums, which decoding ignores.
                image.verify()
                image = Image.open(io.BytesIO(data))
            if image.format == 'TIFF' and image.tile:
                ends = map(max, zip(*(tile[1][2:] for tile in image.tile)))
                # The size may already be that of the upright image.
                pairs = zip(sorted(ends), sorted(image.size))
                if any(end < size for end, size in pairs):
                    # The missing parts would be black.
                    raise ValueError('its parts do not cover its size')
            return image
        except UnidentifiedImageError:
            if not data:
                raise ValueError('the file is empty') from None
            if data[4:8] == b'ftyp' and data[8:12] in _HEIC:
                raise ValueError('Pillow does not read HEIC. Convert it to '
                                 'JPEG or PNG') from None
            raise ValueError('it is not an image that Pillow can '
                             'read') from None


def upright_rgb(image: Image.Image, name: str) -> Image.Image:
    """Decode a picture as viewers show it.

    - It is rotated by its EXIF orientation; an unreadable orientation is
      ignored.
    - Transparent pixels show :data:`BACKGROUND`.
    - 16 bits are scaled to 8; OpenMMLab's backend would make them white.
    - Animations and multi-page files give the first picture.

    Otherwise, pixels equal those of OpenMMLab's Pillow backend.

    Args:
        image: An image of any mode; may be changed.
        name: Name in error messages: the path.

    Returns:
        The picture in RGB.

    Raises:
        ImageError: If the file is damaged, or its pixels have no known
            range.
    """
    with naming(name):
        image.load()
        # Formats with 16-bit integers that Pillow stores in 32 bits.
        wide = image.mode == 'I' and image.format in ('PNG', 'PPM')
        if image.mode in ('I', 'F') and not wide:
            raise ValueError(
                f'its pixels are 32-bit numbers (mode {image.mode}) of '
                'unknown range. Save it with 8 bits, '
                'scaled to suit its content')
        turn = _UPRIGHT.get(orientation(image))
        if turn is not None:
            image = image.transpose(turn)
        if wide or image.mode.startswith('I;16'):
            grey = np.asarray(image) >> 8
            image = Image.fromarray(grey.astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert('RGBA')
            alpha = image.getchannel('A')
            if alpha.getextrema()[0] < 255:
                behind = Image.new('RGB', image.size, BACKGROUND)
                behind.paste(image, mask=alpha)
                image = behind
        if image.mode != 'RGB':
            image = image.convert('RGB')
        # The EXIF orientation must not be applied again.
        image.info.clear()
        return image


def bgr(image: Image.Image) -> np.ndarray:
    """Pixels of an RGB image, ``(H, W, 3)`` uint8, as OpenCV orders them."""
    pixels = bytearray(image.tobytes('raw', 'BGR'))
    return np.frombuffer(pixels, np.uint8).reshape(*image.size[::-1], 3)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of a picture.

    Args:
        image: An image of any mode.

    Returns:
        A number from 1, which is upright, to 8; 1 if the file has no readable
        orientation.
    """
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    # Pillow raises many kinds of errors for damaged EXIF data.
    except Exception:
        return 1
    return found if found in _UPRIGHT else 1


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Turn Pillow's errors about a picture into one kind of error.

    Args:
        name: Name of the picture: its path.

    Raises:
        ImageError: For any error except a lack of memory.
    """
    try:
        yield
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        limit = 2 * Image.MAX_IMAGE_PIXELS / 1e6
        raise ImageError.of(
            name, f'it has more than {limit:.0f} million pixels, the limit '
            'of Pillow. Scale it down, or cut it into '
            'tiles.') from error
    # Pillow raises many kinds of errors for damaged files.
    except Exception as error:
        kind = '' if isinstance(error,
                                (OSError,
                                 ValueError)) else f'{type(error).__name__}: '
        raise ImageError.of(name, f'{kind}{error}') from error
