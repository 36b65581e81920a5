"""Two processes give the same results as one with the joint batch."""
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

for host in ('mmdet', 'mmpose', 'mmpretrain', 'mmseg'):
    pytest.importorskip(host)

from . import processes  # noqa: E402
from .processes import CONFIGS, ROOT, TESTED  # noqa: E402

pytestmark = pytest.mark.slow


def environment(**changes) -> dict:
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    return {
        **os.environ, 'PATH': path,
        'PYTHONPATH': str(ROOT),
        'OMP_NUM_THREADS': '1',
        **changes
    }


def free_port() -> str:
    with socket.socket() as free:
        free.bind(('', 0))
        return str(free.getsockname()[1])


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes') / 'uneven'
    processes.write_uneven_scenes(folder)
    return folder


@pytest.fixture(scope='module')
def results(scenes, tmp_path_factory):
    """Results of one process, and of each of two."""
    out = tmp_path_factory.mktemp('processes')
    (out / 'two').mkdir()
    meeting = dict(
        WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port())
    two = [
        subprocess.Popen([
            sys.executable, '-m', 'tests.test_tasks.processes', scenes,
            out / 'two'
        ],
                         cwd=out,
                         env=environment(
                             RANK=rank, LOCAL_RANK=rank, **meeting),
                         stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE,
                         text=True) for rank in '01'
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    processes.run(scenes, out, 1)
    torch.set_num_threads(threads)
    for process in two:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    return [
        torch.load(out / name, weights_only=False)
        for name in ('0.pt', 'two/0.pt', 'two/1.pt')
    ]


def joined(weights: dict[str, Tensor]) -> Tensor:
    return torch.cat([weight.flatten() for weight in weights.values()])


def assert_losses_equal(one, first, second, tolerance):
    """Compare the loss of one process with the mean of the two shares."""
    assert one.keys() == first.keys() == second.keys()
    shares = {name: (first[name] + second[name]) / 2 for name in one}
    assert shares == pytest.approx(one, rel=tolerance, abs=tolerance)
    # Equal losses would mean that both processes had the same images.
    assert first['loss'] != second['loss']


def assert_updates_equal(one, other, step, tolerance):
    start, end = joined(one['weights'][0]), joined(one['weights'][step])
    assert torch.equal(joined(other['weights'][0]), start)
    off = (joined(other['weights'][step]) - end).norm()
    moved = (end - start).norm()
    assert moved > 1e-3 and off / moved < tolerance


def assert_gradients_equal(one, other):
    assert one['gradients'].keys() == other['gradients'].keys()
    whole = joined(one['gradients']).norm()
    for name, gradient in one['gradients'].items():
        off = (other['gradients'][name] - gradient).norm()
        assert off < 1e-4 * gradient.norm() + 1e-6 * whole, name


@pytest.mark.parametrize('task',
                         [*CONFIGS, 'mixture', 'mixture, a task a step'])
def test_two_processes_train_as_one(results, task):
    one, first, second = (result[task] for result in results)
    # Both processes have exactly the same weights.
    assert torch.equal(*(joined(x['weights'][-1]) for x in (first, second)))
    losses = [x['losses'] for x in (one, first, second)]
    assert_losses_equal(*(x[0] for x in losses), 1e-5)
    assert_gradients_equal(one, first)
    # Adam turns gradients that are pure rounding into whole steps.
    assert_updates_equal(one, first, 1, 1e-3)
    assert_losses_equal(*(x[-1] for x in losses), 1e-2)
    assert_updates_equal(one, first, 2, 5e-3)


def test_two_processes_accumulate_as_one(results):
    one, first, second = (result['accumulated'] for result in results)
    assert first['exchanged'] == {1, 3} and not one['exchanged']
    assert_gradients_equal(one, first)
    assert_losses_equal(*(x['losses'][-1] for x in (one, first, second)), 1e-2)
    assert_updates_equal(one, first, 2, 5e-3)


@pytest.mark.parametrize('task', TESTED)
def test_two_processes_measure_as_one(results, task):
    one, first, second = (result[f'{task} test'] for result in results)
    assert len(one['samples']) % 2
    assert first['samples'] == one['samples']
    assert any(value > 0 for value in one['metrics'].values())
    assert first['metrics'] == pytest.approx(one['metrics'], rel=1e-4)
    assert second['metrics'] == first['metrics']


def test_two_processes_measure_a_mixture_as_one(results):
    one, first, second = (result['mixture test'] for result in results)
    assert one['semantic/mIoU'] > 0 and 'pose/coco/AP' in one
    assert first == pytest.approx(one, rel=1e-4)
    assert second == first
