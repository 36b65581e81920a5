from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from glid_mm.datasets.scenes import render_scene
from glid_mm.datasets.transforms import LoadImageFromFile

CONFIG = (
    Path(__file__).resolve().parents[2] / 'configs' / 'pretrain' /
    'glid_nano_1xb64-coslr-100e_scenes-128px.py')


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / 'photo.jpg'
    Image.fromarray(render_scene(0, 'train', 0, 96).image).save(path)
    return path


def load(path):
    return LoadImageFromFile()(dict(img_path=str(path)))


def test_images_are_bgr(photo):
    expected = np.array(Image.open(photo))[..., ::-1]
    results = load(photo)
    assert np.array_equal(results['img'], expected)
    assert results['ori_shape'] == (96, 96)


@pytest.mark.parametrize('keep', [0, 100, .5, .95])
def test_truncated_jpeg_is_named(photo, keep):
    data = photo.read_bytes()
    keep = int(keep * len(data)) if keep < 1 else keep
    photo.write_bytes(data[:keep])
    with pytest.raises(OSError, match=r'photo\.jpg.*Replace the file'):
        load(photo)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(OSError, match=r'gone\.png'):
        load(tmp_path / 'gone.png')


@pytest.mark.parametrize('mode,size', [('L', (40, 30)), ('RGB', (1, 1)),
                                       ('RGBA', (33, 200)), ('P', (64, 64)),
                                       ('I;16', (50, 50))])
def test_odd_images_go_through_the_pipeline_of_pretraining(
        tmp_path, mode, size):
    init_default_scope('mmpretrain')
    path = tmp_path / 'odd.png'
    base = Image.fromarray(
        np.random.default_rng(0).integers(
            0, 255, (size[1], size[0], 3), dtype=np.uint8))
    if mode == 'I;16':
        base = Image.fromarray(
            np.array(base.convert('L')).astype(np.uint16) * 200)
    else:
        base = base.convert(mode)
    base.save(path)
    pipeline = Config.fromfile(CONFIG).train_dataloader.dataset.pipeline
    out = Compose(pipeline)(dict(img_path=str(path)))
    assert tuple(out['inputs'].shape) == (3, 128, 128)
