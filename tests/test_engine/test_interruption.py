"""A signal stops all processes of a run after the step, with one message."""
import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children

import pytest
import torch
from torch.utils.data import DataLoader

from glid_mm.engine import interruption
from glid_mm.engine.interruption import Interrupted, shelter
from .test_checkpoints import VAL, RisingMetric, names
from .test_trajectory import KINDS, finish, free_port, start, train
from .tiny import assert_same, resumed, weights


@pytest.mark.parametrize('kind', ['epochs', 'iterations', 'within an epoch'])
@pytest.mark.parametrize('name,after', [('SIGINT', 9), ('SIGTERM', 12)])
def test_a_signal_ends_a_run_after_its_step(kind, name, after, tmp_path,
                                            capsys):
    """Iteration 12 ends an epoch or, in iterations, a checkpoint interval."""
    options = dict(KINDS[kind], ema=True)
    whole = train(tmp_path / 'whole', **options)
    number = getattr(signal, name)
    handler = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(Interrupted) as ended:
            train(
                tmp_path / 'cut',
                hooks=[dict(type='SignalHook', after=after, signals=[name])],
                **options)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, handler)
    assert ended.value.code == 128 + number
    path = (tmp_path / 'cut' / 'last_checkpoint').read_text()
    line, = capsys.readouterr().err.splitlines()
    assert line.startswith(f'{name}: stopped in iteration {after} of ')
    assert f'saved as {path};' in line and '--resume' in line
    runner, said = resumed(tmp_path / 'cut', **options)
    assert runner.iter == after and not said
    assert_same(whole, train(tmp_path / 'cut', resume=True, **options))


@pytest.mark.parametrize('kind', ['epochs', 'iterations'])
def test_a_signal_ends_a_validation_and_a_resume_makes_up_for_it(
        kind, tmp_path, capsys):
    options = dict(
        KINDS[kind],
        ema=True,
        optim_wrapper=dict(accumulative_counts=5),
        checkpoint=dict(save_best='acc'),
        **VAL)
    if kind == 'iterations':
        options['val_interval'] = 6
    RisingMetric.score = 0
    whole = train(tmp_path / 'whole', **options)
    RisingMetric.score = 0
    with pytest.raises(Interrupted):
        train(
            tmp_path / 'cut',
            hooks=[dict(type='SignalHook', after=12, where='val')],
            **options)
    assert RisingMetric.score == 1
    assert 'stopped in validation after iteration 12 of' in capsys.readouterr(
    ).err
    assert_same(whole, train(tmp_path / 'cut', resume=True, **options))
    assert RisingMetric.score == 3
    assert {n
            for n in names(tmp_path / 'cut') if 'best' in n
            } == {n
                  for n in names(tmp_path / 'whole') if 'best' in n}


def test_a_run_with_workers_ends_in_one_line(tmp_path):
    """Terminals and launchers send signals to all processes of a run."""
    options = dict(
        work_dir=str(tmp_path), by_epoch=False, workers=2, length=100000)
    process = start(options, group=True)
    while not (tmp_path / 'iter_4.pth').exists():
        assert process.poll() is None
        time.sleep(.1)
    os.killpg(process.pid, signal.SIGTERM)
    line, = finish(process, 128 + signal.SIGTERM).splitlines()
    assert line.startswith('SIGTERM: stopped in iteration ')
    assert (tmp_path / 'last_checkpoint').read_text() in line


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    hook = dict(type='SignalHook', after=2, signals=['SIGINT'] * 2)
    process = start(dict(work_dir=str(tmp_path), workers=1, hooks=[hook]))
    assert finish(process, -signal.SIGINT) == ''
    assert names(tmp_path) == []


@pytest.mark.slow
def test_ranks_end_together_and_one_goes_on(tmp_path):
    options = dict(
        by_epoch=False,
        sampler='InfiniteSampler',
        model=dict(dropout=0.),
        dataset=dict(indices=20),
        optim_wrapper=dict(accumulative_counts=4))
    port = str(free_port())
    # Rank 1 gets the signal, in the middle of an accumulation.
    hook = dict(type='SignalHook', after=6, rank=1)
    processes = [
        start(
            dict(
                options,
                launcher='pytorch',
                batch_size=2,
                hooks=[hook],
                work_dir=str(tmp_path / 'cut')),
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE='2',
            PYTHONWARNINGS='ignore',
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=port) for rank in range(2)
    ]
    whole = train(tmp_path / 'whole', batch_size=4, **options)
    errors = [finish(process, 128 + signal.SIGTERM) for process in processes]
    assert [len(text.splitlines()) for text in errors] == [1, 0], errors
    assert 'stopped in iteration 6 of 15' in errors[0]
    runner, said = resumed(tmp_path / 'cut', batch_size=4, **options)
    text, = said
    assert 'processes from 2 to 1' in text and 'rounding' in text
    runner.train()
    for name, value in whole.items():
        torch.testing.assert_close(
            weights(runner)[name], value, rtol=1e-5, atol=1e-6)


def other_signal(pid: int, name: str) -> None:
    """Send a signal from a process that is not the parent."""
    subprocess.run([
        sys.executable, '-c',
        f'import os, signal; os.kill({pid}, signal.{name})'
    ], check=True)  # yapf: disable


def test_workers_heed_nobody_but_the_main_process():
    loader = DataLoader(
        range(1000), 10, num_workers=1, worker_init_fn=shelter(None))
    batches = iter(loader)
    next(batches)
    worker, = active_children()
    for name in ('SIGINT', 'SIGTERM', 'SIGUSR1'):
        other_signal(worker.pid, name)
    assert len(list(batches)) == 99
    batches = iter(loader)
    next(batches)
    worker, = active_children()
    worker.terminate()
    worker.join(60)
    assert worker.exitcode == 0


def test_a_gpu_is_asked_one_step_later_and_answers_once(monkeypatch):
    """All ranks act alike, whichever of them requests it."""
    others = iter([0, 1, 0, 0, 2 * signal.SIGTERM, 0])

    def all_reduce(words, op):
        assert op == 'max'
        words.fill_(max(int(words), next(others)))

    monkeypatch.setattr(interruption, 'all_reduce', all_reduce)
    monkeypatch.setattr(interruption, 'get_world_size', lambda: 2)
    monkeypatch.setattr(interruption, 'works_ahead', lambda device: True)
    it = interruption.Interruption()
    asked = [it.agree(False, torch.device('cpu')) for _ in range(6)]
    assert asked == [(0, False)] * 2 + [(0, True)] + [(0, False)] * 2 + [
        (signal.SIGTERM, False)
    ]


def test_ignored_signals_stay_ignored():
    """``nohup`` and shells with background jobs ignore signals like this."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruption.Interruption() as it:
            it.watch()
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGUSR1)
        assert it.signal == signal.SIGUSR1
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)
