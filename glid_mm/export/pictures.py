"""Input pictures and their size."""
from collections.abc import Mapping, Sequence

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from PIL import Image
from torch import nn

from ..errors import UserError
from ..models.layers.tokens import UNIT
from ..scenes import render_scene
from ..visualization.images import list_inputs, rgb_pixels

# Number and side of the generated pictures used by default.
_COUNT, _SIDE = 3, 128
# Pipeline steps that need labels or pack the model's inputs.
_OTHER_STEPS = ('Load', 'Pack', 'Filter')


def read_pictures(pictures) -> list[np.ndarray]:
    """Read pictures for comparing runtimes.

    Args:
        pictures (str | Path | ndarray | list, optional): See
            :func:`~glid_mm.visualization.images.list_inputs`; by default some
            of Scenes, in 4:3.

    Returns:
        ``(H, W, 3)`` uint8, RGB.

    Raises:
        UserError: If there are no pictures.
    """
    if pictures is None:
        return [render_scene(0, 'val', i, _SIDE).image for i in range(_COUNT)]
    found = [rgb_pixels(image) for image in list_inputs(pictures)]
    if not found:
        raise UserError('pictures is empty: give at least one, or omit it')
    return found


def choose_size(model: nn.Module, config: Config, size: Sequence[int] | None,
                picture: np.ndarray | None) -> tuple[int, int]:
    """Choose the height and width of a graph's input.

    Args:
        model: A host's model.
        config: Its config.
        size: The requested size. The default is the codec's for pose; for
            other tasks, the size of a picture after the test pipeline, rounded
            up.
        picture: ``(H, W, 3)`` uint8, RGB; by default a square one.

    Returns:
        Height and width, multiples of 32.

    Raises:
        UserError: If the size is invalid or cannot be determined.
    """
    if size is not None:
        height, width = map(int, size)
        if min(height, width) < 1 or height % UNIT or width % UNIT:
            best = tuple(max(1, round(n / UNIT)) * UNIT for n in size)
            raise UserError(f'size={(height, width)}: height and width must '
                            f'be multiples of {UNIT}, such as {best}')
        return height, width
    codec = getattr(getattr(model, 'head', None), 'decoder', None)
    if codec is not None:
        width, height = codec.input_size
        return height, width
    steps = [
        step for step in test_data(config).get('pipeline', ())
        if not step.type.split('.')[-1].startswith(_OTHER_STEPS)
    ]
    if picture is None:
        if not steps:
            raise UserError(
                "an exported model has a fixed input size, but the config's "
                'test pipeline does not resize pictures. Give height and '
                'width (--image-size), or pictures of that size (--pictures).')
        picture = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    shape = picture.shape[:2]
    with DefaultScope.overwrite_default_scope(config.get('default_scope')):
        done = Compose(steps)(
            dict(img=picture, img_shape=shape, ori_shape=shape))
    height, width = (-(-n // UNIT) * UNIT for n in done['img'].shape[:2])
    return height, width


def test_data(config: Config) -> Mapping:
    """The config's test data settings; empty if it has none."""
    return (config.get('test_dataloader') or {}).get('dataset') or {}


def fit(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a picture so that it just fits.

    It resizes like the hosts: bilinear, without antialiasing.

    Args:
        picture: ``(h, w, 3)`` uint8.
        size: Maximum height and width.

    Returns:
        ``(h', w', 3)`` uint8, not larger than the size.
    """
    old = picture.shape[:2]
    step = max(n / side for n, side in zip(old, size))
    height, width = (max(1, int(n / step + .5)) for n in old)
    return np.array(
        Image.fromarray(picture).transform(
            (width, height), Image.Transform.AFFINE,
            (old[1] / width, 0, 0, 0, old[0] / height, 0),
            Image.Resampling.BILINEAR))
