"""Read images for pre-training fast enough for GPUs."""
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmpretrain.datasets.transforms import RandomResizedCrop
from PIL import Image

from ...datasets.decode import Crop, EncodedImage, bgr
from ...datasets.loading import read_file
from ...errors import UserError
from ...registry import TRANSFORMS


class CanvasCrop(NamedTuple):
    """A crop of an image on a canvas.

    Attributes:
        box: Left, top, right and bottom edge of the part.
        size: Width and height of the image in the canvas's upper left corner;
            the rest is empty.
        flip: Whether to flip left and right.
        scale: Height and width of the resized part.
    """

    box: tuple[float, float, float, float]
    size: tuple[int, int]
    flip: bool
    scale: tuple[int, int]


@TRANSFORMS.register_module()
class LoadRandomResizedCrop(RandomResizedCrop):
    """Loading, ``RandomResizedCrop`` and ``RandomFlip`` in one.

    It draws the same random numbers as the hosts' three transforms (with the
    Pillow backend), and crops and flips the same boxes. The box is drawn
    before the image is decoded, so a JPEG is decoded at 1/2, 1/4 or 1/8 of its
    resolution if the box then still has ``scale`` pixels or more. Otherwise,
    pixels agree within a level or two of 255.

    Required key: ``img_path``; added keys: ``img``, ``img_shape``,
    ``ori_shape``, ``flip``, and with ``canvas`` also ``crop``.

    Args:
        scale (int | tuple[int, int]): Height and width of the output.
        crop_ratio_range: Share of the image's area.
        interpolation: 'bilinear' or 'bicubic'.
        flip_prob: Probability of flipping left and right.
        canvas: Leave resizing and flipping to :class:`CropPreprocessor`, which
            does both on the model's device: ``img`` is a ``(canvas, canvas,
            3)`` uint8 tensor with the decoded part in its upper left corner,
            and ``crop`` a :class:`CanvasCrop`, which must be one of the
            ``algorithm_keys`` of ``PackInputs``. Larger parts are reduced to
            fit. With shards of shorter side S, 4/3·S is always enough. By
            default, ``img`` is the finished crop.
        backend_args: See ``mmengine.fileio.get``.
        **kwargs: See ``mmpretrain.datasets.RandomResizedCrop``.

    Raises:
        ValueError: If the interpolation is unknown, or not 'bicubic' with
            ``canvas``.
    """

    def __init__(self,
                 scale,
                 crop_ratio_range: tuple[float, float] = (0.08, 1.0),
                 interpolation: str = 'bicubic',
                 flip_prob: float = 0.,
                 canvas: int | None = None,
                 backend_args: dict | None = None,
                 **kwargs) -> None:
        super().__init__(
            scale,
            crop_ratio_range=crop_ratio_range,
            interpolation=interpolation,
            backend='pillow',
            **kwargs)
        if interpolation not in ('bilinear', 'bicubic'):
            raise ValueError("interpolation must be 'bilinear' or 'bicubic', "
                             f'not {interpolation!r}')
        if canvas and interpolation != 'bicubic':
            raise ValueError('crops on a canvas are resized by bicubic '
                             f'interpolation, not by {interpolation!r}')
        self.flip_prob = flip_prob
        self.canvas = canvas
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Read, crop, resize and flip.

        Args:
            results: Results of a pipeline.

        Returns:
            The results with the image, in BGR as in mmcv.

        Raises:
            ImageError: If the file is damaged or not an image.
            UserError: If it cannot be read at all.
        """
        path = results['img_path']
        image = EncodedImage(read_file(path, self.backend_args), path)
        width, height = image.size
        top, left, rows, cols = self.rand_crop_params(
            SimpleNamespace(shape=(height, width)))
        flip = np.random.rand() < self.flip_prob
        size = self.scale[::-1]
        part = image.crop((left, top, left + cols, top + rows), size)
        if self.canvas:
            part = self._fit(part)
            canvas = np.zeros((self.canvas, self.canvas, 3), np.uint8)
            canvas[:part.image.height, :part.image.width] = bgr(part.image)
            # Not an array, because arrays are packed with channels first.
            results['img'] = torch.from_numpy(canvas)
            results['crop'] = CanvasCrop(part.box, part.image.size, flip,
                                         tuple(self.scale))
        else:
            pixels = part.resize(size, self.interpolation)
            results['img'] = pixels[:, ::-1] if flip else pixels
        results['img_shape'] = tuple(self.scale)
        results['ori_shape'] = (height, width)
        results['flip'] = bool(flip)
        return results

    def _fit(self, part: Crop) -> Crop:
        """Reduce a part that is larger than the canvas."""
        factor = self.canvas / max(part.image.size)
        if factor >= 1:
            return part
        left, top, right, bottom = part.box
        size = [
            max(1, int(side * factor)) for side in (right - left, bottom - top)
        ]
        image = part.image.resize(size, Image.Resampling.BICUBIC, part.box)
        return Crop(image, (0, 0, *size))


def crop_size(config: Config) -> int:
    """The side of the square crops in pre-training.

    Args:
        config: The pre-training config.

    Raises:
        UserError: If its pipeline has no random crop.
    """
    for transform in config.train_dataloader.dataset.pipeline:
        if transform['type'].endswith('RandomResizedCrop'):
            return transform['scale']
    raise UserError('the config has no RandomResizedCrop: give --size')
