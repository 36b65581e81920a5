"""Images are resized as in docs/deployment.md and in the hosts."""
import mmcv
import numpy as np
import pytest
from PIL import Image

from glid_mm.export.pictures import choose_size, fit
from . import scripts
from .build import pictures, tiny


def test_the_pages_fit_is_the_exports():
    pytest.importorskip('onnxruntime')
    shared, _ = scripts.scripts()
    namespace = {}
    exec(shared, namespace)
    picture = pictures(1)[0, :96]
    theirs = namespace['fit'](Image.fromarray(picture), dict(size=[64, 96]))
    ours = fit(picture, (64, 96))
    # 128×96 becomes 85×64 within 96×64.
    assert ours.shape == (64, 85, 3)
    assert theirs['sizes'].tolist() == [[64, 85]]
    assert theirs['images'].shape == (1, 64, 96, 3)
    np.testing.assert_array_equal(theirs['images'][0, :, :85], ours)


@pytest.mark.parametrize('size', [(64, 64), (96, 64), (192, 64), (192, 160)])
def test_pictures_are_resized_as_by_the_hosts(size):
    picture = pictures(1)[0, :, :100]
    ours = fit(picture, size).astype(int)
    theirs = mmcv.imrescale(picture, size[::-1]).astype(int)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1


def test_the_size_is_that_of_the_test_pipeline(monkeypatch):
    model, config = tiny('detection', monkeypatch)
    wide = np.zeros((50, 100, 3), np.uint8)
    assert choose_size(model, config, None, None) == (128, 128)
    assert choose_size(model, config, None, wide) == (64, 128)
    assert choose_size(model, config, (32, 64), wide) == (32, 64)
    steps = config.test_dataloader.dataset.pipeline
    steps[1].scale = (1333, 800)
    # 667 × 1333, rounded up.
    assert choose_size(model, config, None, wide) == (672, 1344)
