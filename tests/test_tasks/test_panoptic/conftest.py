"""Scenes with masks, written once."""
import pytest

from glid_mm.scenes import write_scenes


@pytest.fixture(scope='session')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('scenes') / 'data'
    write_scenes(root, train=8, val=2, unlabelled=0, size=64, seed=0)
    return root
