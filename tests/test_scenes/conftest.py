"""A folder of Scenes, and Scenes in memory."""
import pytest

from glid_mm.scenes import render_scene, write_scenes
from .build import COUNTS, SIZE


@pytest.fixture(scope='session')
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp('scenes') / 'data'
    assert write_scenes(out, **COUNTS, size=SIZE, seed=3)
    return out


@pytest.fixture(scope='session')
def scenes():
    return [render_scene(11, 'train', index, 96) for index in range(120)]
