"""A mixture of all tasks of Scenes."""
import pytest
import torch
from mmengine.registry import DATASETS, init_default_scope

from glid_mm.scenes import write_scenes
from glid_mm.tasks import multitask
from ..mixtures import mixed
from .build import build


@pytest.fixture(scope='session', autouse=True)
def _hosts():
    """The mixture has tasks of three libraries."""
    for host in ('mmdet', 'mmpose', 'mmseg'):
        pytest.importorskip(host)


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """Tiny models are faster on one thread."""


@pytest.fixture(scope='session')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes') / 'scenes'
    write_scenes(folder, train=6, val=3, unlabelled=1, size=64, seed=0)
    return folder


@pytest.fixture(scope='session')
def config(scenes):
    return mixed(scenes)


@pytest.fixture(scope='session')
def dataset(config):
    init_default_scope('mmengine')
    return DATASETS.build(config.train_dataloader.dataset)


@pytest.fixture(scope='session')
def batches(dataset):
    """Two images of each task."""
    torch.manual_seed(0)
    samples = [
        dataset[first + i] for first in dataset.first.values()
        for i in range(2)
    ]
    return multitask.collate_tasks(samples)


@pytest.fixture
def model(config):
    return build(config.model).eval()
