"""How often a training iteration waits for the device.

Counted on a CPU: operators whose result decides what the CPU does next.
"""
from collections import Counter
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS
from torch.utils._python_dispatch import TorchDispatchMode

from glid_mm.engine import arrival
from glid_mm.scenes import write_scenes

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
WAITS = ('_local_scalar_dense', 'equal', 'is_nonzero', 'masked_select',
         'nonzero', 'unique_consecutive', 'unique_dim', '_unique2')
SELECTIONS = ('index', 'index_put', 'index_put_', '_index_put_impl_')


class Waits(TorchDispatchMode):
    """Counts operators that would wait for a GPU."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        name = operator._schema.name.split('::')[1]
        masks = name in SELECTIONS and any(
            x is not None and x.dtype in (torch.bool, torch.uint8)
            for x in args[1])
        if name in WAITS or masks:
            self.found[name] += 1
        return operator(*args, **(kwargs or {}))


class CountHook(Hook):
    """Counts from the model's forward pass to the end of an iteration."""
    priority = 'LOWEST'

    def before_train(self, runner):
        self.of_iterations = []
        runner.model.register_forward_pre_hook(self.start)

    def start(self, *_):
        self.mode = Waits()
        self.mode.__enter__()

    def after_train_iter(self, runner, **kwargs):
        self.mode.__exit__(None, None, None)
        self.of_iterations.append(self.mode.found)


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'scenes'
    write_scenes(root, train=6, val=1, unlabelled=4, size=128, seed=0)
    return root


@pytest.mark.slow
@pytest.mark.parametrize('config,questions,fetched', [
    # Reads the loss of the previous iteration.
    pytest.param(
        'pretrain/glid_nano_1xb32-coslr-30e_scenes-128px.py', 1, 0,
        id='pretraining'),
    pytest.param(
        'pose/glid_nano_1xb16-16k_scenes-128x96.py', 1, 0, id='pose'),
    # Also reads its check of the depth unit.
    pytest.param(
        'depth/glid_nano_1xb16-14k_scenes-depth-128x128.py', 2, 0,
        id='depth'),
    # Fetches the costs of matching, which waits.
    pytest.param(
        'detection/glid_nano_1xb16-7k_scenes-128x128.py', 1, 1,
        id='detection'),
    pytest.param(
        'instance/glid_nano_1xb16-7k_scenes-instance-128x128.py', 1, 1,
        id='instance'),
    pytest.param(
        'panoptic/glid_nano_1xb16-7k_scenes-panoptic-128x128.py', 1, 1,
        id='panoptic'),
    # Before that, also fetches the classes that the images show.
    pytest.param(
        'segmentation/glid_nano_1xb16-2k_scenes-128x128.py', 1, 2,
        id='segmentation'),
])  # yapf: disable
def test_an_iteration_asks_only_what_has_been_answered(config, questions,
                                                       fetched, data_root,
                                                       tmp_path, monkeypatch):
    monkeypatch.setattr(arrival, 'ASYNCHRONOUS', ('cpu', ))
    copies = Counter()
    to_cpu = torch.Tensor.cpu

    def copied(tensor):
        copies[runner.iter] += 1
        return to_cpu(tensor)

    config = Config.fromfile(CONFIGS / config)
    config.work_dir = str(tmp_path)
    config.train_dataloader.update(
        batch_size=2, num_workers=0, sampler=dict(type='InfiniteSampler'))
    config.train_dataloader.dataset.data_root = str(data_root)
    config.train_cfg = dict(by_epoch=False, max_iters=4)
    config.param_scheduler = None
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        config[key] = None
    config.default_hooks.checkpoint = None
    runner = RUNNERS.build(config)
    hook = CountHook()
    runner.register_hook(hook)
    monkeypatch.setattr(torch.Tensor, 'cpu', copied)
    runner.train()
    # The first iteration has nothing to read, and the last one is logged.
    for i in (1, 2):
        assert hook.of_iterations[i] == Counter(_local_scalar_dense=questions)
        assert copies[i] == fetched
