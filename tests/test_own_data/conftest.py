"""Scenes, written once; tests copy the files that they change."""
import pytest

from glid_mm.scenes import write_scenes


@pytest.fixture(scope='session')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('own') / 'scenes'
    write_scenes(root, train=6, val=4, unlabelled=2, size=64, seed=0)
    return root
