"""Trainings of another length keep the shape of their schedule."""
import copy
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

from glid_mm.engine.length import rescale, without_short_warm_ups
from glid_mm.errors import UserError
from .tiny import make_runner

for host in ('mmdet', 'mmpose', 'mmpretrain', 'mmseg'):
    pytest.importorskip(host)

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
PATHS = [
    str(path.relative_to(CONFIGS)) for path in sorted(CONFIGS.rglob('*.py'))
    # Mask R-CNN's warm-up is longer than the shortened trainings here.
    if '_base_' not in path.parts and 'mask-rcnn' not in path.name
]
EPOCH = 20


def read(path):
    return Config.fromfile(CONFIGS / path)


def length_of(config):
    unit = 'iters' if 'max_iters' in config.train_cfg else 'epochs'
    return unit, config.train_cfg[f'max_{unit}']


def curve(config):
    """Learning rates of all iterations, from mmengine's own schedulers."""
    unit, length = length_of(config)
    return _curve(unit, length, repr(config.param_scheduler))


@lru_cache(maxsize=None)
def _curve(unit, length, schedulers):
    wrapper = build_optim_wrapper(
        torch.nn.Linear(1, 1), dict(optimizer=dict(type='SGD', lr=1.)))
    built = [
        PARAM_SCHEDULERS.build(
            s, default_args=dict(optimizer=wrapper, epoch_length=EPOCH))
        for s in without_short_warm_ups(eval(schedulers), EPOCH)
    ]
    rates = []
    for step in range(length if unit == 'iters' else length * EPOCH):
        rates.append(wrapper.optimizer.param_groups[0]['lr'])
        for scheduler in built:
            if not scheduler.by_epoch or (step + 1) % EPOCH == 0:
                scheduler.step()
    return np.array(rates)


@pytest.mark.parametrize('path', PATHS)
def test_rates_are_the_same_at_the_same_share_of_the_training(path):
    config = read(path)
    unit, length = length_of(config)
    before = curve(config)
    for shorter in (7, 20):
        new = max(length // shorter, 1)
        short = copy.deepcopy(config)
        rescale(short, unit, new)
        after = curve(short)
        assert len(after) * length == len(before) * new
        # Times are rounded to whole epochs or iterations.
        whole = any(
            s.get('by_epoch', True) and not s.get('convert_to_iter_based')
            for s in config.param_scheduler)
        off = 1.5 * (EPOCH if whole and unit == 'epochs' else 1)
        ratio = len(before) / len(after)
        for i, rate in enumerate(after):
            low = max(0, int((i - off) * ratio))
            there = before[low:int((i + 1 + off) * ratio) + 1]
            assert there.min() - 1e-9 <= rate <= there.max() + 1e-9, i
        assert after.max() > .6 * before.max()


def test_all_times_are_scaled():
    config = read('pose/glid_swin-b_8xb64-210e_coco-256x192.py')
    rescale(config, 'epochs', 21)
    warm_up, steps = config.param_scheduler
    assert config.train_cfg.max_epochs == 21
    assert warm_up.end == 50
    assert (steps.milestones, steps.end) == ([17, 20], 21)
    # Intervals that still fit are kept.
    assert config.train_cfg.val_interval == 10
    config = read('segmentation/glid_nano_1xb16-2k_scenes-128x128.py')
    rescale(config, 'iters', 400)
    assert [s.end for s in config.param_scheduler] == [10, 400]
    assert config.train_cfg.val_interval == 100
    # No checkpoint per validation: checkpoints may have gigabytes.
    assert config.default_hooks.checkpoint.interval == 400
    config = read('pretrain/glid_swin-b_8xb256-amp-coslr-600e_in1k-192px.py')
    rescale(config, 'epochs', 100)
    warm_up, cosine = config.param_scheduler
    assert warm_up.end == cosine.begin == pytest.approx(20 / 3)
    assert cosine.T_max == pytest.approx(280 / 3) and cosine.end == 100


def test_other_schedulers_keep_their_shape_too():
    config = Config(
        dict(
            train_cfg=dict(max_iters=100, dynamic_intervals=[(80, 2)]),
            param_scheduler=[
                dict(type='ExponentialLR', gamma=.9, by_epoch=False, end=100),
                dict(type='StepLR', step_size=10, gamma=.5, by_epoch=False),
            ]))
    short = copy.deepcopy(config)
    rescale(short, 'iters', 50)
    assert np.allclose(curve(short)[::5], curve(config)[::10])
    assert short.train_cfg.dynamic_intervals == [(40, 2)]
    one = dict(
        train_cfg=dict(max_epochs=4),
        param_scheduler=dict(type='MultiStepLR', milestones=[2, 3]))
    one = Config(one)
    rescale(one, 'epochs', 8)
    assert one.param_scheduler.milestones == [4, 6]


def test_the_other_unit_is_refused_by_name():
    for unit, path, cure in (
        ('epochs', 'depth/glid_swin-b_8xb2-38k_nyu-416x544.py',
         '38400 iters .train_cfg.max_iters.; use --iters'),
        ('iters', 'detection/glid_swin-b_8xb2-50e_coco.py',
         '50 epochs .train_cfg.max_epochs.; use --epochs')):
        with pytest.raises(UserError, match=f'--{unit}: .*{cure}'):
            rescale(read(path), unit, 3)
    with pytest.raises(UserError, match='it has no training'):
        rescale(Config(), 'iters', 3)


def test_a_warm_up_of_one_step_does_not_hold_the_rate_down(tmp_path):
    """mmengine would continue with a thousandth of the learning rate."""
    runner = make_runner(tmp_path, length=1)
    runner.param_schedulers = [
        dict(
            type='LinearLR',
            start_factor=1e-3,
            end=.2,
            convert_to_iter_based=True),
        dict(type='LinearLR', start_factor=1e-3, end=1, by_epoch=False),
    ]
    runner.train()
    assert runner.optim_wrapper.get_lr()['lr'] == [.05]
