"""Every task reads an image of any format as image viewers show it.

A file that cannot be used raises one error that names it.
"""
import importlib

import cv2
import numpy as np
import pytest
from mmcv.transforms import Compose
from mmengine.registry import init_default_scope
from PIL import Image

from glid_mm.datasets.decode import EncodedImage, ImageError, bgr, decode_image
from glid_mm.errors import UserError
from .pictures import pictures, refused

PICTURES, REFUSED = pictures(), refused()
OURS = dict(type='LoadImageFromFile', _scope_='glid_mm')
LOADERS = {
    'pretraining': ('mmpretrain', OURS),
    'segmentation': ('mmseg', OURS),
    'detection': ('mmdet', OURS),
    'depth': ('mmseg', OURS),
    'pose': ('mmpose', dict(type='glid_mm.LoadImage')),
}


@pytest.mark.parametrize('kind', PICTURES)
def test_every_kind_is_what_viewers_show(kind):
    data, expected, tolerance = PICTURES[kind]
    image = decode_image(data, 'x')
    assert image.mode == 'RGB'
    difference = np.abs(np.asarray(image, float) - expected)
    assert difference.max() <= tolerance
    assert difference.mean() <= tolerance / 4
    # Pre-training crops come from the same pixels.
    encoded = EncodedImage(data, 'x')
    assert encoded.size == image.size
    part = encoded.crop((3, 5, 30, 29), size=(20, 20)).image
    assert np.array_equal(part, np.asarray(image)[5:29, 3:30])


@pytest.mark.parametrize('kind', ['CMYK JPEG', 'YCCK JPEG'])
def test_inks_are_colours_that_another_decoder_sees(kind):
    data, _, _ = PICTURES[kind]
    other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    ours = bgr(decode_image(data, 'x')).astype(float)
    assert np.abs(ours - other).max() <= 6


@pytest.mark.parametrize('kind', REFUSED)
def test_what_cannot_be_used_is_refused_by_name(kind):
    data, reason = REFUSED[kind]

    def crop(*args):
        return EncodedImage(*args).crop((0, 0, 9, 9), (4, 4))

    message = f'^cannot read the image a/b.x: .*{reason}'
    for read in (decode_image, crop):
        with pytest.raises(ImageError, match=message):
            read(data, 'a/b.x')


def test_more_pixels_than_pillow_takes_are_refused_by_name(monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    with pytest.raises(ImageError, match='big.png: it has more than .* tiles'):
        decode_image(PICTURES['PNG'][0], 'big.png')


@pytest.mark.parametrize('task', LOADERS)
def test_every_task_reads_every_kind_alike(task, tmp_path):
    scope, loader = LOADERS[task]
    pytest.importorskip(scope)
    importlib.import_module(f'glid_mm.tasks.{task}')
    init_default_scope(scope)
    load = Compose([loader])
    path = tmp_path / 'picture'
    for data, _, _ in PICTURES.values():
        path.write_bytes(data)
        results = load(dict(img_path=str(path)))
        expected = bgr(decode_image(data, 'x'))
        assert np.array_equal(results['img'], expected)
        assert results['ori_shape'] == expected.shape[:2]
        assert results['img_shape'] == expected.shape[:2]
    for data, _ in REFUSED.values():
        path.write_bytes(data)
        with pytest.raises(ImageError, match=str(path)):
            load(dict(img_path=str(path)))
    # A missing file is not an image error.
    with pytest.raises(UserError, match='missing') as caught:
        load(dict(img_path=str(tmp_path / 'missing')))
    assert not isinstance(caught.value, ImageError)
