"""Every task takes steps, writes a checkpoint and evaluates: `make smoke`."""
import math
from pathlib import Path

import pytest
import torch

from glid_mm.io.checkpoints import read_checkpoint
from .test_tasks.processes import (CONFIGS, TESTED, evaluate, train,
                                   write_uneven_scenes)

pytestmark = [pytest.mark.smoke, pytest.mark.usefixtures('one_thread')]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes')
    write_uneven_scenes(folder)
    return folder


@pytest.mark.parametrize('task', CONFIGS)
def test_steps_change_weights_and_end_in_a_checkpoint(task, data, tmp_path):
    run = train(task, data, tmp_path, processes=1, steps=2)
    assert all(
        math.isfinite(v) for step in run['losses'] for v in step.values())
    first, *_, last = run['weights']
    moved = [
        name for name in first if not torch.equal(first[name], last[name])
    ]
    assert len(moved) > .9 * len(first)
    note = tmp_path / task / 'last_checkpoint'
    saved = read_checkpoint(Path(note.read_text()))['state_dict']
    assert all(torch.equal(saved[name], last[name]) for name in last)


@pytest.mark.parametrize('task', TESTED)
def test_the_hosts_metrics_are_numbers(task, data, tmp_path):
    result = evaluate(task, data, tmp_path, processes=1)
    assert result['samples']
    assert result['metrics']
    assert all(math.isfinite(v) for v in result['metrics'].values())
