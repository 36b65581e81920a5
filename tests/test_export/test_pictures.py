"""Pictures are brought to a size as the page and the hosts do it."""
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
    fill = (124, 116, 104)
    facts = dict(input=dict(shape=['batch', 64, 96, 3], fill=list(fill)))
    theirs, step = namespace['fit'](Image.fromarray(picture), facts)
    assert step == 1.5
    ours = fit(picture, (64, 96), fill)
    np.testing.assert_array_equal(theirs[0], ours)
    # 128×96 becomes 85×64 of 96×64, and the rest is filling.
    assert (ours[:, 86:] == fill).all()
    assert not (ours[:, 84] == fill).all()


def test_pictures_are_resized_as_by_the_hosts():
    picture = pictures(1)[0]
    ours = fit(picture, (64, 64), (0, 0, 0)).astype(int)
    theirs = mmcv.imresize(picture, (64, 64)).astype(int)
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
