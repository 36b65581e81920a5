"""Tasks take turns, and each draws the same samples as alone."""
import itertools

import pytest
from torch.utils.data import Dataset

from glid_mm.engine.data_stream import StreamSampler
from glid_mm.errors import UserError
from glid_mm.tasks import multitask
from ..mixtures import CONFIGS
from .build import losses


class Numbers(Dataset):
    metainfo = dict(classes=('a', ))

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return int(index)


def draw(monkeypatch, count, rank=0, world_size=1, batch=None, **kwargs):
    """Task, index, epoch and position of the samples of a rank."""
    world = lambda *_: (rank, world_size)  # noqa: E731
    for module in ('mmengine.dataset.sampler', 'glid_mm.engine.data_stream',
                   'glid_mm.tasks.multitask.data'):
        monkeypatch.setattr(f'{module}.get_dist_info', world)
    data = multitask.MultitaskDataset(
        dict(one=Numbers(5), two=Numbers(7), three=Numbers(4)))
    sampler = multitask.TaskSampler(data, seed=3, **kwargs)
    if batch:
        multitask.OneTaskBatchSampler(sampler, batch)
    places = itertools.islice(StreamSampler(sampler), count)
    return [(*data[p], p.epoch, p.position) for p in places]


def test_batches_mix_tasks_evenly(monkeypatch):
    drawn = draw(monkeypatch, 60)
    assert [task for task, *_ in drawn[:6]] == ['one', 'two', 'three'] * 2
    for task, length in (('one', 5), ('two', 7), ('three', 4)):
        own = [index for name, index, *_ in drawn if name == task]
        # Every sample comes once before any is repeated.
        assert sorted(own[:length]) == list(range(length))
        assert sorted(own[length:2 * length]) == list(range(length))


def test_the_first_task_is_drawn_as_it_is_alone(monkeypatch):
    from mmengine.dataset import InfiniteSampler
    drawn = [d[1:] for d in draw(monkeypatch, 30) if d[0] == 'one']
    sampler = StreamSampler(InfiniteSampler(Numbers(5), seed=3))
    expected = itertools.islice(sampler, 10)
    assert drawn == [(int(p), p.epoch, p.position) for p in expected]


@pytest.mark.parametrize('kwargs', [dict(), dict(batch=6)])
def test_processes_together_draw_what_one_draws(monkeypatch, kwargs):
    one = draw(monkeypatch, 36, **kwargs)
    if kwargs:
        assert [d[0] for d in one] == ['one'] * 6 + ['two'] * 6 + [
            'three'
        ] * 6 + ['one'] * 6 + ['two'] * 6 + ['three'] * 6
        kwargs = dict(batch=3)
    parts = [draw(monkeypatch, 18, rank, 2, **kwargs) for rank in range(2)]
    # Batches of six, or of three in each of two processes.
    for step in range(6):
        joint = sum((p[3 * step:3 * step + 3] for p in parts), [])
        assert sorted(joint) == sorted(one[6 * step:6 * step + 6])
        # Both processes have equally many samples of each task.
        tasks = [sorted(d[0] for d in p[3 * step:3 * step + 3]) for p in parts]
        assert tasks[0] == tasks[1]


def test_ratios_are_spread_evenly(monkeypatch):
    ratio = dict(one=3, two=1, three=2)
    drawn = [d[0] for d in draw(monkeypatch, 12, ratio=ratio)]
    assert drawn == ['one', 'three', 'one', 'two', 'three', 'one'] * 2


def test_data_of_no_task_is_refused(model, batches):
    with pytest.raises(UserError, match="has task 'flow', but the model has"):
        losses(model, dict(flow=batches['depth']))
    with pytest.raises(UserError, match="'two' has no data: its data set is"):
        multitask.MultitaskDataset(dict(one=Numbers(3), two=Numbers(0)))
    with pytest.raises(UserError, match='ratio.*one, two'):
        data = multitask.MultitaskDataset(dict(one=Numbers(3), two=Numbers(1)))
        multitask.TaskSampler(data, seed=0, ratio=dict(one=1))
    with pytest.raises(UserError, match="'flow' of the mixture: there is no"):
        multitask.mixture(str(CONFIGS), dict(flow='flow/glid.py'))
