"""Scalars are copied late; logs and checkpoints stay the same."""
import json

import numpy as np
import pytest
import torch
from mmengine import runner as mmengine_runner
from mmengine.logging import MessageHub

from glid_mm.engine import Runner
from glid_mm.engine import scalars as module
from glid_mm.engine.scalars import ScalarHub
from .tiny import make_runner

TIMES = ('time', 'data_time', 'eta')


def logged(work_dir):
    """The log and saved scalars of a run, without times."""
    runner = make_runner(
        work_dir,
        by_epoch=False,
        optim_wrapper=dict(clip_grad=dict(max_norm=.1)),
        log_processor=dict(
            window_size=3,
            custom_cfg=[
                dict(data_src='loss', method_name='max', window_size='global')
            ]))
    runner.train()
    scalars, = work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    kept = torch.load(work_dir / 'iter_15.pth', weights_only=False)
    return [[(k, v) for k, v in line.items() if k not in TIMES]
            for line in lines], kept['message_hub']['log_scalars']


def test_log_and_checkpoint_are_those_of_mmengine(tmp_path, monkeypatch):
    lines, kept = logged(tmp_path / 'ours')
    # Use mmengine's own message hub and its way to log gradient norms.
    monkeypatch.setattr(Runner, 'build_message_hub',
                        mmengine_runner.Runner.build_message_hub)
    monkeypatch.setattr('glid_mm.engine.runner.prepare', lambda _: None)
    expected, expected_kept = logged(tmp_path / 'theirs')
    assert repr(lines) == repr(expected)
    assert {'loss', 'loss_parts', 'acc', 'grad_norm',
            'lr'} <= {key
                      for key, _ in lines[0]}
    assert list(kept) == list(expected_kept)
    for key, history in expected_kept.items():
        if key.split('/')[-1] not in TIMES:
            for one, other in zip(kept[key].data, history.data):
                assert np.array_equal(one, other, equal_nan=True), key


@pytest.fixture
def copies(monkeypatch):
    """Number of tensors in each copy."""
    found = []
    stack = torch.stack
    monkeypatch.setattr(module.torch, 'stack',
                        lambda x: found.append(len(x)) or stack(x))
    return found


def test_all_waiting_values_come_in_one_copy(copies):
    hub = ScalarHub('one copy')
    for i in range(5):
        hub.update_scalar('train/time', float(i))
        hub.update_scalar('train/loss', torch.tensor(i + .5))
        hub.update_scalar('train/acc', torch.tensor([float(-i)]), count=2)
        # mmengine's timer reads times in each iteration.
        assert hub.get_scalar('train/time').current() == i
    assert not copies
    assert hub.get_scalar('train/loss').mean(2) == 4
    assert hub.log_scalars['train/acc'].mean() == -1
    assert copies == [10]
    assert list(hub.log_scalars) == ['train/time', 'train/loss', 'train/acc']


def test_a_value_is_that_of_its_iteration():
    hub = ScalarHub('reused memory')
    memory = torch.zeros(())
    history = None
    for i in range(3):
        memory.fill_(i)
        hub.update_scalar('loss', memory)
        history = history or hub.get_scalar('loss')
    hub.update_scalar('loss', 7)
    hub.update_scalar('loss', torch.tensor(8))
    assert hub.get_scalar('loss') is history
    assert history.data[0].tolist() == [0, 1, 2, 7, 8]


def test_values_that_nobody_reads_do_not_pile_up(copies, monkeypatch):
    monkeypatch.setattr(module, 'MOST_WAITING', 4)
    hub = ScalarHub('unread')
    for _ in range(10):
        hub.update_scalar('loss', torch.zeros(()))
    assert copies == [4, 4]


def test_what_is_no_scalar_is_refused():
    hub = ScalarHub('vector')
    with pytest.raises(RuntimeError):
        hub.update_scalar('loss', torch.zeros(2))
    with pytest.raises(KeyError):
        hub.get_scalar('loss')


def test_the_hub_is_the_current_one(tmp_path):
    runner = make_runner(tmp_path)
    assert isinstance(runner.message_hub, ScalarHub)
    assert MessageHub.get_current_instance() is runner.message_hub
