"""Untrained runs of all tasks, in the layout of our runner."""
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, DefaultScope

from glid_mm.scenes import write_scenes
from ..test_tasks.mixtures import BACKBONE, CONFIGS, TASKS, mixed
from ..test_tools.test_tools import PRETRAIN


@pytest.fixture(scope='session', autouse=True)
def _hosts():
    for host in ('mmdet', 'mmpose', 'mmseg', 'mmpretrain'):
        pytest.importorskip(host)


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """Tiny models are faster on one thread."""


@pytest.fixture(scope='session')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes') / 'scenes'
    write_scenes(folder, train=2, val=3, unlabelled=1, size=64, seed=0)
    return folder


@pytest.fixture(scope='session')
def pictures(scenes):
    return sorted((scenes / 'images' / 'val').iterdir())


def save(config, meta, path):
    """Write a checkpoint with uneven random weights."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        model = MODELS.build(config.model)
    for name, weight in model.named_parameters():
        if 'embeddings' in name or not name.startswith('backbone.'):
            # Otherwise all queries, and so all pixels, would agree.
            dense = 'decode_head' in name and weight.ndim == 2
            torch.nn.init.normal_(weight, std=8. if dense else .2)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        dict(
            meta=dict(cfg=config.pretty_text, dataset_meta=meta, seed=0),
            state_dict=model.state_dict()), path)


def meta_of(dataset, scope, root):
    """The metainfo of a data set, without loading its data."""
    with DefaultScope.overwrite_default_scope(scope):
        meta = DATASETS.build(
            dict(dataset, data_root=str(root), lazy_init=True)).metainfo
    # mmpose adds it when it loads the data.
    return dict(meta, CLASSES=['person']) if 'sigmas' in meta else meta


@pytest.fixture(scope='session')
def runs(scenes, tmp_path_factory):
    """A folder of work dirs by task, with checkpoint and last_checkpoint."""
    root = tmp_path_factory.mktemp('runs')
    for task, path in TASKS.items():
        config = Config.fromfile(CONFIGS / path)
        config.model.backbone.update(BACKBONE)
        dataset = config.test_dataloader.dataset
        # Prediction needs no data.
        dataset.data_root = str(root / 'nowhere')
        save(config, meta_of(dataset, config.default_scope, scenes),
             root / task / 'iter_1.pth')
        (root / task / 'last_checkpoint').write_text(
            str(root / task / 'iter_1.pth'))
    save(Config.fromfile(PRETRAIN), {}, root / 'pretrain' / 'epoch_1.pth')
    return root


@pytest.fixture(scope='session')
def mixture_run(runs, scenes):
    config = Config.fromfile(CONFIGS / '_base_/multitask_runtime.py')
    config.merge_from_dict(mixed(scenes).to_dict())
    meta = {
        task: meta_of(loader.dataset, loader.dataset['_scope_'], scenes)
        for task, loader in config.test_dataloader.items()
    }
    save(config, meta, runs / 'mixture' / 'iter_1.pth')
    return runs / 'mixture'


def equal(one, other, atol=0.):
    """Whether two predictions are equal."""
    for name in ('boxes', 'scores', 'labels', 'masks', 'semantic', 'panoptic',
                 'depth', 'keypoints', 'keypoint_scores'):
        a, b = getattr(one, name), getattr(other, name)
        if (a is None) != (b is None):
            return False
        if a is not None and not (a.shape == b.shape
                                  and np.allclose(a, b, atol=atol)):
            return False
    return (one.names, one.segments) == (other.names, other.segments)
