"""A run of one second with every kind of randomness.

Also a program: ``python -m tests.test_engine.tiny '{"work_dir": …}'`` trains
with the arguments of :func:`make_runner`.
"""
import itertools
import json
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, MODELS
from mmengine.structures import BaseDataElement
from torch import nn

from glid_mm.engine import Runner, launch, shared_generator

SAMPLES = 21


@DATASETS.register_module()
class TinyDataset(BaseDataset):
    METAINFO = dict(classes=('a', 'b'), sigmas=np.ones(3, np.float32))
    reads = 0

    def __init__(self, nan_at=None, **kwargs) -> None:
        self.nan_at = nan_at
        super().__init__(serialize_data=False, **kwargs)

    def load_data_list(self):
        return [
            dict(img_path=f'{i}.png', width=3 + i % 2, height=3)
            for i in range(SAMPLES)
        ]

    def prepare_data(self, idx):
        TinyDataset.reads += 1
        info = self.get_data_info(idx)
        x = torch.full((4, ), float(idx)) / SAMPLES
        x[1] += random.random()
        x[2] += np.random.rand()
        x[3] += torch.rand(())
        if idx == self.nan_at:
            x[0] = float('nan')
        sample = BaseDataElement(metainfo=dict(img_path=info['img_path']))
        return dict(inputs=x, data_samples=sample)


@MODELS.register_module()
class TinyModel(BaseModel):

    def __init__(self, dropout=.5) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, 8), nn.Dropout(dropout), nn.Linear(8, 1))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        x = torch.stack(inputs)
        if mode != 'loss':
            return [BaseDataElement(metainfo=d.metainfo) for d in data_samples]
        keep = torch.rand(4, generator=shared_generator())
        return dict(
            loss=self.layers(x * keep).square().mean(),
            loss_parts=[x.mean()],
            acc=x.new_tensor(float('nan')))


@HOOKS.register_module()
class KillHook(Hook):
    """Kill the process after an iteration or while saving a checkpoint."""

    def __init__(self, after=None, saving=None):
        self.after = after
        self.saving = saving

    def before_train(self, runner):
        fsync = os.fsync

        def die_half_written(handle):
            path = os.readlink(f'/proc/self/fd/{handle}')
            if self.saving and f'-{self.saving}.pth-' in path:
                os.ftruncate(handle, 1000)
                os.kill(os.getpid(), signal.SIGKILL)
            return fsync(handle)

        os.fsync = die_half_written

    def after_train_iter(self, runner, **kwargs):
        if runner.iter + 1 == self.after:
            os.kill(os.getpid(), signal.SIGKILL)


class Stop(Exception):
    pass


@HOOKS.register_module()
class StopHook(Hook):
    priority = 'LOWEST'

    def __init__(self, after):
        self.after = after

    def after_train_iter(self, runner, **kwargs):
        if runner.iter + 1 == self.after:
            raise Stop


@HOOKS.register_module()
class SignalHook(Hook):
    """Send signals to this process in an iteration, if it has the rank."""

    def __init__(self, after, signals=('SIGTERM', ), where='train', rank=0):
        self.after = after
        self.signals = signals
        self.where = where
        self.rank = rank

    def _send(self):
        for name in self.signals:
            os.kill(os.getpid(), getattr(signal, name))

    def after_train_iter(self, runner, **kwargs):
        if (self.where == 'train' and runner.iter + 1 == self.after
                and get_rank() == self.rank):
            self._send()

    def before_val_iter(self, runner, batch_idx, **kwargs):
        if (self.where == 'val' and runner.iter == self.after
                and batch_idx == 1):
            self._send()


@HOOKS.register_module()
class RateHook(Hook):
    """Record the learning rate of each iteration."""

    def __init__(self):
        self.rates = []

    def before_train_iter(self, runner, **kwargs):
        self.rates.append((runner.iter, runner.optim_wrapper.get_lr()['lr']))


_count = itertools.count()


def make_runner(work_dir,
                by_epoch=True,
                save_by_epoch=None,
                workers=0,
                batch_size=4,
                sampler='DefaultSampler',
                batch_sampler=None,
                seed=3,
                hooks=(),
                ema=False,
                interval=None,
                length=None,
                model=None,
                dataset=None,
                optim_wrapper=None,
                checkpoint=None,
                schedulers=None,
                val_interval=1,
                logger=None,
                log_level='WARNING',
                **kwargs) -> Runner:
    save_by_epoch = by_epoch if save_by_epoch is None else save_by_epoch
    hooks = list(hooks)
    if ema:
        hooks.append(dict(type='EMAHook'))
    loop = dict(max_epochs=length or 3) if by_epoch else dict(
        max_iters=length or 15)
    loader = dict(
        batch_size=batch_size,
        num_workers=workers,
        persistent_workers=workers > 0,
        sampler=dict(type=sampler, shuffle=True),
        dataset=dict(type='TinyDataset', **(dataset or {})))
    if batch_sampler:
        loader['batch_sampler'] = dict(type=batch_sampler)
    return Runner.from_cfg(
        Config(
            dict(
                model=dict(type='TinyModel', **(model or {})),
                work_dir=str(work_dir),
                train_dataloader=loader,
                train_cfg=dict(
                    by_epoch=by_epoch, val_interval=val_interval, **loop),
                optim_wrapper={
                    'optimizer': dict(type='AdamW', lr=.05, weight_decay=.1),
                    **(optim_wrapper or {})
                },
                param_scheduler=schedulers or [
                    dict(type='LinearLR', by_epoch=False, end=4),
                    dict(
                        type='MultiStepLR', milestones=[2], by_epoch=by_epoch)
                ],
                default_hooks=dict(
                    checkpoint=dict(
                        type='glid_mm.CheckpointHook',
                        by_epoch=save_by_epoch,
                        interval=interval or (1 if save_by_epoch else 4),
                        **(checkpoint or {})),
                    finite_loss=dict(type='glid_mm.FiniteLossHook'),
                    **(dict(logger=logger) if logger else {})),
                custom_hooks=hooks,
                randomness=dict(seed=seed),
                experiment_name=f'tiny{next(_count)}',
                log_level=log_level,
                **kwargs)))


def weights(runner) -> dict:
    """The final state of a run as a flat dictionary of tensors."""
    state = {k: v.clone() for k, v in runner.model.state_dict().items()}
    for i, s in runner.optim_wrapper.optimizer.state_dict()['state'].items():
        state.update({f'{i}.{k}': torch.as_tensor(v) for k, v in s.items()})
    for hook in runner.hooks:
        if hasattr(hook, 'ema_model'):
            state.update({
                f'ema.{k}': v
                for k, v in hook.ema_model.state_dict().items()
            })
    state['iter'] = torch.tensor(runner.iter)
    state['lr'] = torch.tensor(runner.optim_wrapper.get_lr()['lr'])
    return state


def said_by(runner, level='warning') -> list:
    """A list that collects what a runner logs at a level."""
    said = []
    setattr(runner.logger, level, lambda text, *_: said.append(text))
    return said


def resumed(work_dir, **options):
    """A runner that has resumed, and its warnings."""
    runner = make_runner(work_dir, resume=True, **options)
    said = said_by(runner)
    runner.call_hook('before_run')
    runner.load_or_resume()
    return runner, said


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def train() -> None:
    """Train one process with the options of :func:`make_runner`."""
    options = json.loads(sys.argv[1])
    runner = make_runner(**options)
    runner.train()
    if get_rank() == 0:
        torch.save(weights(runner), Path(options['work_dir']) / 'end.pt')


if __name__ == '__main__':
    torch.set_num_threads(1)
    # Shells start background jobs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    launch.main(train)
