"""Decoding no more of an image than its crop needs.

JPEG keeps blocks of 8×8 pixels as frequencies, so that half, a quarter or an
eighth of the resolution costs less to decode than all of it. A crop that will
be made smaller anyway need not be decoded any finer than that.
"""
import io
import math
from typing import NamedTuple, Optional, Tuple

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch.nn import functional

Box = Tuple[float, float, float, float]

# Orientations, as cameras note them, that swap the sides of the stored image,
# and those whose upright image begins at its right or at its lower edge.
_TURNED, _FROM_RIGHT, _FROM_BELOW = {5, 6, 7, 8}, {2, 3, 6, 7}, {3, 4, 7, 8}


class Crop(NamedTuple):
    """A part of an image, perhaps at reduced scale.

    Attributes:
        image (Image): RGB, whole pixels that cover the part.
        box (tuple[float, float, float, float]): Left, top, right and bottom
            edge of the part in it.
    """

    image: Image.Image
    box: Box

    def resize(self, size: Tuple[int, int], interpolation: str) -> np.ndarray:
        """The part in another size.

        Args:
            size (tuple[int, int]): Width and height.
            interpolation (str): 'bilinear' or 'bicubic'; averages where it
                makes the part smaller.

        Returns:
            ndarray: ``(H, W, 3)`` uint8, BGR.
        """
        if self.box != (0, 0, *self.image.size):
            resample = Image.Resampling[interpolation.upper()]
            return bgr(self.image.resize(size, resample, self.box))
        # PyTorch's vectors do what Pillow does, in a quarter of the time.
        pixels = torch.from_numpy(bgr(self.image)).permute(2, 0, 1)
        pixels = functional.interpolate(
            pixels[None], size[::-1], mode=interpolation, antialias=True)
        return pixels[0].permute(1, 2, 0).numpy()


class EncodedImage:
    """An image that is decoded when its crop is known.

    Args:
        data (bytes): The content of an image file.

    Attributes:
        size (tuple[int, int]): Width and height, turned upright.

    Raises:
        OSError: If this is no image.
    """

    def __init__(self, data: bytes) -> None:
        image = Image.open(io.BytesIO(data))
        self._orientation = 1
        if image.format in ('JPEG', 'MPO'):
            self._orientation = image.getexif().get(ExifTags.Base.Orientation)
        else:
            # Headers of other formats may be wrong about the size.
            image = upright_rgb(image)
        self._image = image
        turned = self._orientation in _TURNED
        self.size = image.size[::-1] if turned else image.size

    def crop(self,
             box: Tuple[int, int, int, int],
             size: Optional[Tuple[int, int]] = None) -> Crop:
        """Decode a part. An image can be asked for one part only.

        Args:
            box (tuple[int, int, int, int]): Left, top, right and bottom edge
                in the upright image.
            size (tuple[int, int], optional): Width and height that the part
                has to have at least, where it has them at all. By default it
                is decoded at full resolution.

        Returns:
            Crop: The part; at full resolution exactly its pixels.

        Raises:
            OSError: If the file is damaged.
        """
        scale = self._reduce(box, size) if size else 1
        image = upright_rgb(self._image)
        if scale == 1:
            return Crop(
                image.crop(box), (0, 0, box[2] - box[0], box[3] - box[1]))
        # The reduced image begins where the stored one does, and is rounded
        # up at the other end, which turning may have made the first.
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
        """Make the decoder reduce the image; by how much it will."""
        scale = min((box[2] - box[0]) // size[0], (box[3] - box[1]) // size[1])
        scale = max((s for s in (2, 4, 8) if s <= scale), default=1)
        width, height = self._image.size
        # Pillow takes the largest of these scales that leaves such a size.
        if scale > 1 and self._image.draft(None,
                                           (width // scale, height // scale)):
            return scale
        return 1


def upright_rgb(image: Image.Image) -> Image.Image:
    """Decode an image as OpenMMLab's Pillow backend does.

    But for grey of 16 bits, all of which Pillow would take for white: here
    they are scaled to 8.

    Args:
        image (Image): Of any mode; may be changed.

    Returns:
        Image: RGB, turned as the camera was held.

    Raises:
        OSError: If the file is damaged, or of pixels without a known range.
    """
    if image.mode in ('I', 'F'):
        raise OSError(
            f'its pixels are numbers of 32 bits (mode {image.mode}), whose '
            'range the file does not say. Save it with 8 bits, scaled as is '
            'right for it.')
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith('I;16'):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == 'LA':
        # Not on black, where black drawings would vanish.
        alpha = image.convert('RGBA')
        image = Image.new('RGB', image.size, (124, 117, 104))
        image.paste(alpha, mask=alpha.getchannel('A'))
    image.load()
    return image if image.mode == 'RGB' else image.convert('RGB')


def bgr(image: Image.Image) -> np.ndarray:
    """Pixels of an RGB image, ``(H, W, 3)`` uint8, as OpenCV orders them."""
    pixels = bytearray(image.tobytes('raw', 'BGR'))
    return np.frombuffer(pixels, np.uint8).reshape(*image.size[::-1], 3)
