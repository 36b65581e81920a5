"""The pre-training pipeline on truncated and unusual images."""
from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from glid_mm.datasets.decode import ImageError
from glid_mm.scenes import render_scene

CONFIG = (
    Path(__file__).resolve().parents[2] / 'configs' / 'pretrain' /
    'glid_nano_1xb32-coslr-30e_scenes-128px.py')


@pytest.fixture
def pipeline():
    init_default_scope('mmpretrain')
    return Compose(Config.fromfile(CONFIG).train_dataloader.dataset.pipeline)


@pytest.mark.parametrize('keep', [0, 100, .5, .95])
def test_truncated_jpeg_is_refused(tmp_path, pipeline, keep):
    # OpenCV would fill the missing part with grey and continue.
    path = tmp_path / 'photo.jpg'
    Image.fromarray(render_scene(0, 'train', 0, 96).image).save(path)
    data = path.read_bytes()
    assert pipeline(dict(img_path=str(path)))
    path.write_bytes(data[:int(keep * len(data)) if keep < 1 else keep])
    with pytest.raises(ImageError, match='photo.jpg'):
        pipeline(dict(img_path=str(path)))


@pytest.mark.parametrize('mode,size', [('L', (40, 30)), ('RGB', (1, 1)),
                                       ('RGBA', (33, 200)), ('P', (64, 64)),
                                       ('I;16', (50, 50))])
def test_odd_images_are_taken(tmp_path, pipeline, mode, size):
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
    out = pipeline(dict(img_path=str(path)))
    assert tuple(out['inputs'].shape) == (3, 128, 128)
