"""Scenes with depth, and a model trained on them, made once."""
import pytest
from mmengine.registry import RUNNERS

from glid_mm.scenes import write_scenes
from .build import small_run


@pytest.fixture(scope='session')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'scenes'
    write_scenes(root, train=4, val=2, unlabelled=0, size=64, seed=0)
    return root


@pytest.fixture(scope='session')
def trained(data_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    config = small_run(data_root, folder / 'train')
    RUNNERS.build(config).train()
    return config, str(folder / 'train' / 'iter_1.pth')
