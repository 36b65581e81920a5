"""A run depends only on seed and iteration, however often it is resumed."""
import json
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub

from glid_mm.engine.data_stream import Place, SeededDataset, stop_workers
from glid_mm.engine.randomness import mix_seed, seeded_sample, shared_generator
from .tiny import (Stop, StopHook, TinyDataset, assert_same, make_runner,
                   weights)

ROOT = Path(__file__).parents[2]

KINDS = {
    'epochs': dict(),
    'iterations': dict(by_epoch=False, sampler='InfiniteSampler'),
    'iterations of a finite sampler': dict(by_epoch=False),
    'within an epoch': dict(save_by_epoch=False),
}


def train(work_dir, **kwargs):
    runner = make_runner(work_dir, **kwargs)
    runner.train()
    return weights(runner)


def train_and_stop(work_dir, after, **kwargs):
    with pytest.raises(Stop):
        train(work_dir, hooks=[dict(type='StopHook', after=after)], **kwargs)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(('', 0))
        return free.getsockname()[1]


def start(options: dict, group: bool = False, **env) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, '-m', 'tests.test_engine.tiny',
         json.dumps(options)],
        cwd=ROOT,
        env={
            **os.environ,
            **env, 'OMP_NUM_THREADS': '1'
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=group,
        text=True)


def finish(process: subprocess.Popen, code: int = 0) -> str:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    return errors


@pytest.mark.parametrize('ema', [False, True])
@pytest.mark.parametrize('kind', KINDS)
def test_resumed_run_ends_with_the_same_weights(kind, ema, tmp_path):
    options = dict(KINDS[kind], ema=ema)
    whole = train(tmp_path / 'whole', **options)
    # 21 samples make 6 batches, so iteration 10 is in the second epoch.
    train_and_stop(tmp_path / 'cut', 10, **options)
    TinyDataset.reads = 0
    cut = train(tmp_path / 'cut', resume=True, **options)
    assert_same(whole, cut)
    # Samples before the checkpoint are not read again.
    assert TinyDataset.reads == dict(zip(KINDS, (42, 28, 25, 34)))[kind]


@pytest.mark.parametrize('kind', ['iterations', 'within an epoch'])
def test_workers_change_nothing(kind, tmp_path):
    whole = train(tmp_path / 'whole', **KINDS[kind])
    train_and_stop(tmp_path / 'cut', 10, workers=2, **KINDS[kind])
    cut = train(tmp_path / 'cut', resume=True, workers=2, **KINDS[kind])
    assert_same(whole, cut)


@pytest.mark.parametrize('kind', ['epochs', 'iterations'])
@pytest.mark.parametrize('stopped', [False, True])
def test_workers_stop_with_the_run(kind, stopped, tmp_path):
    runner = make_runner(tmp_path, workers=2, **KINDS[kind])
    if stopped:
        runner.register_hook(StopHook(after=2))
    with pytest.raises(Stop) if stopped else nullcontext():
        runner.train()
    assert not multiprocessing.active_children()


def test_no_worker_starts_before_the_first_batch_is_asked_for(tmp_path):
    """Upstream's loop creates an iterator before a run is resumed."""
    runner = make_runner(
        tmp_path, by_epoch=False, sampler='InfiniteSampler', workers=1)
    loader = runner.build_train_loop(runner._train_loop).dataloader
    batches = iter(loader)
    del batches
    assert not multiprocessing.active_children()
    batches = iter(loader)
    next(batches)
    assert multiprocessing.active_children()
    stop_workers(loader)


def test_batch_samplers_of_hosts_are_resumed_too(tmp_path):
    pytest.importorskip('mmdet')
    options = dict(
        by_epoch=False,
        sampler='InfiniteSampler',
        batch_sampler='mmdet.AspectRatioBatchSampler')
    whole = train(tmp_path / 'whole', **options)
    train_and_stop(tmp_path / 'cut', 10, **options)
    TinyDataset.reads = 0
    assert_same(whole, train(tmp_path / 'cut', resume=True, **options))
    assert TinyDataset.reads == 7 * 4


def test_other_seed_other_weights(tmp_path):
    one = train(tmp_path / 'one', seed=3)
    other = train(tmp_path / 'other', seed=4)
    assert not torch.equal(one['layers.0.weight'], other['layers.0.weight'])


def test_run_without_a_seed_is_resumed_with_its_own(tmp_path):
    first = make_runner(tmp_path, by_epoch=False, seed=None)
    seed = first.seed
    first.register_hook(StopHook(10))
    with pytest.raises(Stop):
        first.train()
    resumed = train(tmp_path, by_epoch=False, seed=None, resume=True)
    whole = train(tmp_path / 'whole', by_epoch=False, seed=seed)
    assert_same(whole, resumed)


@pytest.mark.slow
@pytest.mark.parametrize('options,death', [
    (dict(by_epoch=False, workers=2), dict(after=10)),
    (dict(workers=2), dict(saving='epoch_2')),
])
def test_killed_run_ends_with_the_same_weights(options, death, tmp_path):
    cut = dict(options, work_dir=str(tmp_path / 'cut'))
    killed = start(dict(cut, hooks=[dict(type='KillHook', **death)]))
    whole = train(tmp_path / 'whole', **options)
    finish(killed, -signal.SIGKILL)
    names = {path.name for path in (tmp_path / 'cut').iterdir()}
    if 'saving' in death:
        assert any(name.startswith('.unfinished-') for name in names)
        assert f'{death["saving"]}.pth' not in names
    finish(start(dict(cut, resume=True)))
    assert_same(whole, torch.load(tmp_path / 'cut' / 'end.pt'))
    assert not list((tmp_path / 'cut').glob('.unfinished-*'))


def test_two_processes_train_as_one(tmp_path):
    options = dict(by_epoch=False, sampler='InfiniteSampler')
    # Dropout draws per process, all else for the joint batch.
    options = dict(options, model=dict(dropout=0.), dataset=dict(indices=20))
    two = dict(options, work_dir=str(tmp_path / 'two'), batch_size=2)
    port = str(free_port())
    processes = [
        start(
            dict(two, launcher='pytorch'),
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE='2',
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=port) for rank in range(2)
    ]
    one = train(tmp_path / 'one', batch_size=4, **options)
    for process in processes:
        finish(process)
    both = torch.load(tmp_path / 'two' / 'end.pt')
    for name in ('layers.0.weight', 'layers.2.weight'):
        torch.testing.assert_close(
            both[f'module.{name}'], one[name], rtol=1e-5, atol=1e-6)


def test_sample_depends_on_its_place_alone():
    dataset = SeededDataset(TinyDataset(), 5)
    place = Place(7, epoch=1, position=3)
    sample = dataset[place]['inputs']
    torch.rand(1), random.random(), np.random.rand()
    assert torch.equal(dataset[place]['inputs'], sample)
    for other in (Place(7, 1, 4), Place(7, 2, 3)):
        assert not (dataset[other]['inputs'][1:] == sample[1:]).any()


def test_sample_leaves_the_generators_as_they_were():
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    draws = [torch.rand(1), random.random(), np.random.rand()]
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    with seeded_sample(1, 2, 3):
        torch.rand(1), random.random(), np.random.rand()
    assert draws == [torch.rand(1), random.random(), np.random.rand()]


def test_wrapped_dataset_is_transparent():
    inner = TinyDataset()
    dataset = SeededDataset(inner, 5)
    assert len(dataset) == len(inner)
    assert dataset.metainfo['classes'] == ('a', 'b')
    assert dataset.get_data_info(3)['img_path'] == '3.png'
    dataset.pipeline = 'new'
    assert inner.pipeline == 'new'


def test_neighbouring_seeds_are_unrelated():
    seeds = {mix_seed(s, 0, e, p) for s in range(3) for e in range(3)
             for p in range(50)}  # yapf: disable
    assert len(seeds) == 450


def test_shared_generator_follows_the_iteration():
    hub = MessageHub.get_instance('shared generator')
    hub.update_info_dict(dict(loop_stage='train', seed=1, iter=5))
    first = torch.rand(3, generator=shared_generator())
    assert torch.equal(torch.rand(3, generator=shared_generator()), first)
    hub.update_info('iter', 6)
    assert not torch.equal(torch.rand(3, generator=shared_generator()), first)
    hub.update_info('loop_stage', 'val')
    assert shared_generator() is torch.default_generator
