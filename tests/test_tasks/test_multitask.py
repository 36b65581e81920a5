"""Several tasks in one model: each is what it is alone."""
import itertools
import shutil
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import (DATASETS, HOOKS, MODELS, RUNNERS, DefaultScope,
                               init_default_scope)
from torch.utils.data import Dataset

for host in ('mmdet', 'mmpose', 'mmseg'):
    pytest.importorskip(host)

from glid_mm.checkpoint.loading import load_weights  # noqa: E402
from glid_mm.checkpoint.pretrained import Pretrained  # noqa: E402
from glid_mm.checkpoint.tasks import take_task  # noqa: E402
from glid_mm.engine.data_stream import StreamSampler  # noqa: E402
from glid_mm.engine.runner import Runner  # noqa: E402
from glid_mm.errors import CheckpointError  # noqa: E402
from glid_mm.errors import UserError  # noqa: E402
from glid_mm.scenes import write_scenes  # noqa: E402
from glid_mm.tasks import multitask  # noqa: E402
from ..test_engine import tiny  # noqa: E402
from .mixtures import BACKBONE, CONFIGS, TASKS, mixed, run_config  # noqa: E402

# Where a prediction has its numbers.
PREDICTED = dict(
    semantic=('seg_logits', 'data'),
    instance=('pred_instances', 'masks'),
    panoptic=('pred_panoptic_seg', 'sem_seg'),
    detection=('pred_instances', 'bboxes'),
    depth=('pred_depth_map', 'data'),
    pose=('pred_instances', 'keypoints'))
pytestmark = pytest.mark.usefixtures('one_thread')
_count = itertools.count()


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes') / 'scenes'
    write_scenes(folder, train=6, val=3, unlabelled=1, size=64, seed=0)
    return folder


@pytest.fixture(scope='module')
def config(scenes):
    return mixed(scenes)


@pytest.fixture(scope='module')
def dataset(config):
    init_default_scope('mmengine')
    return DATASETS.build(config.train_dataloader.dataset)


@pytest.fixture(scope='module')
def batches(dataset):
    """Two images of each task."""
    torch.manual_seed(0)
    samples = [
        dataset[first + i] for first in dataset.first.values()
        for i in range(2)
    ]
    return multitask.collate_tasks(samples)


def build(config):
    init_default_scope('mmengine')
    torch.manual_seed(0)
    model = MODELS.build(config)
    # Queries and heads that start alike would hide a confusion.
    for name, p in model.named_parameters():
        if 'embeddings' in name or not name.startswith('backbone.'):
            torch.nn.init.normal_(p, std=.05)
    return model


@pytest.fixture
def model(config):
    return build(config.model).eval()


def alone(config, task):
    """A task's own model, of the mixture's architecture."""
    DefaultScope._instance_dict.clear()
    single = Config.fromfile(CONFIGS / TASKS[task])
    init_default_scope(single.default_scope)
    queries = config.model.tasks[task].backbone
    single.model.backbone = dict(BACKBONE, **queries)
    return MODELS.build(single.model).eval()


def losses(model, batch):
    torch.manual_seed(1)
    data = model.data_preprocessor(batch, True)
    return model(**data, mode='loss')


def copy(batch):
    """Preprocessors write to samples."""
    return {key: [x.clone() for x in value] for key, value in batch.items()}


@pytest.mark.parametrize('task,masked_attention', [
    *((task, False) for task in TASKS), ('semantic', True), ('panoptic', True)
])
def test_a_task_has_the_losses_and_answers_that_it_has_alone(
        task, masked_attention, config, model, batches):
    single = alone(config, task)
    if masked_attention:
        name = 'decode_head' if task == 'semantic' else 'panoptic_head'
        for part in single, model.tasks[task]:
            getattr(part, name).masked_attention = True
    given = take_task(dict(state_dict=model.state_dict()), task)
    assert not any(single.load_state_dict(given['state_dict']))
    theirs = losses(single, copy(batches[task]))
    ours = losses(model, {task: copy(batches[task])})
    assert {f'{task}/{name}' for name in theirs} == ours.keys()
    assert any('loss' in name for name in theirs)
    for name, value in theirs.items():
        assert torch.equal(ours[f'{task}/{name}'], value), name
    # As a part of the mixture it is a whole model of its library.
    with torch.no_grad():
        a, b = (
            m(**m.data_preprocessor(copy(batches[task])), mode='predict')
            for m in (single, model.tasks[task]))
    for ours, theirs in zip(a, b):
        for key in PREDICTED[task]:
            ours, theirs = getattr(ours, key), getattr(theirs, key)
        assert len(ours) and np.array_equal(ours, theirs)


def test_the_losses_of_a_batch_are_those_of_its_tasks(model, batches):
    joint = losses(model, {task: copy(batches[task]) for task in batches})
    each = {}
    for task in batches:
        each.update(losses(model, {task: copy(batches[task])}))
    assert joint.keys() == each.keys()
    total, _ = model.parse_losses(joint)
    assert total.item() == pytest.approx(
        sum(v.item() for k, v in each.items() if 'loss' in k), rel=.05)
    model.loss_weights = dict(depth=.25)
    weighted = losses(model, {'depth': copy(batches['depth'])})
    for name, value in weighted.items():
        assert value.item() == pytest.approx(each[name].item() / 4, rel=1e-6)


@pytest.mark.parametrize('task', TASKS)
def test_every_task_teaches_what_is_shared_and_its_own_head(
        task, model, batches):
    # Ground truth has to be somewhere for each term to count.
    total, _ = model.parse_losses(
        losses(model.train(), {task: copy(batches[task])}))
    total.backward()
    rows = model.tasks[task].backbone._rows
    for name, p in model.named_parameters():
        if name.endswith('mask_token'):
            assert p.grad is None
        elif name.startswith(('backbone.', f'tasks.{task}.')):
            assert p.grad is not None and p.grad.any(), name
        else:
            assert p.grad is None, name
    asked = model.backbone.queries.embeddings.grad.any(1)
    assert asked.tolist() == [i in rows for i in range(len(asked))]


def test_tasks_read_prefixes_of_one_table(config):
    settings = config.model.to_dict()
    for task in settings['tasks'].values():
        task['backbone'].pop('embedding_std', None)
        task['backbone'].pop('embedding_positions', None)
    model = build(dict(settings, tables=None))
    asked = {
        task: part['backbone']['num_queries']
        for task, part in settings['tasks'].items()
    }
    rows = {n: tuple(m.backbone.rows.tolist()) for n, m in model.tasks.items()}
    assert rows == {task: (0, count) for task, count in asked.items()}
    assert len(model.backbone.queries.embeddings) == max(asked.values())


class Numbers(Dataset):
    metainfo = dict(classes=('a', ))

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return int(index)


def draw(monkeypatch, count, rank=0, world_size=1, batch=None, **kwargs):
    """Tasks, indices and places of samples as a rank gets them."""
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
        # Every sample once before any comes again.
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
    # Batches of six, and of three in each of two processes.
    for step in range(6):
        joint = sum((p[3 * step:3 * step + 3] for p in parts), [])
        assert sorted(joint) == sorted(one[6 * step:6 * step + 6])
        # In each, processes have as much of each task.
        tasks = [sorted(d[0] for d in p[3 * step:3 * step + 3]) for p in parts]
        assert tasks[0] == tasks[1]


def test_ratios_are_spread_evenly(monkeypatch):
    ratio = dict(one=3, two=1, three=2)
    drawn = [d[0] for d in draw(monkeypatch, 12, ratio=ratio)]
    assert drawn == ['one', 'three', 'one', 'two', 'three', 'one'] * 2


def train(config, hooks=()):
    config.experiment_name = f'mixture {next(_count)}'
    DefaultScope._instance_dict.clear()
    runner = RUNNERS.build(config)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner


def test_a_resumed_run_ends_with_the_same_weights(scenes, tmp_path):
    changes = {
        'default_hooks.checkpoint.interval': 2,
    }
    best = {
        'default_hooks.checkpoint.save_best':
        ['semantic/mIoU', 'pose/coco/AP'],
        'default_hooks.checkpoint.rule': ['greater', 'greater']
    }
    whole = train(run_config(scenes, tmp_path / 'whole', **changes, **best))
    # What is evaluated on the way changes nothing.
    changes.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    with pytest.raises(tiny.Stop):
        train(
            run_config(scenes, tmp_path / 'cut', **changes),
            [tiny.StopHook(after=3)])
    shutil.copytree(tmp_path / 'cut', tmp_path / 'other')
    resumed = train(
        run_config(scenes, tmp_path / 'cut', resume=True, **changes))
    assert resumed.iter == whole.iter == 4
    tiny.assert_same(tiny.weights(whole), tiny.weights(resumed))
    # Each task was evaluated, and a best checkpoint kept of those named.
    names = set(whole.message_hub.log_scalars)
    assert {'val/semantic/mIoU', 'val/pose/coco/AP'} <= names
    assert {'train/semantic/decode.loss_mask', 'train/pose/loss_kpt'} <= names
    best = {path.name for path in (tmp_path / 'whole').glob('best_*')}
    assert {name.split('_iter')[0]
            for name in best} == {'best_semantic_mIoU', 'best_pose_coco_AP'}
    # Another mix is another run.
    changes['train_dataloader.sampler.ratio'] = dict(semantic=3, pose=1)
    runner = RUNNERS.build(
        run_config(scenes, tmp_path / 'other', resume=True, **changes))
    told = tiny.said_by(runner)
    runner.call_hook('before_run')
    runner.load_or_resume()
    assert 'turns of tasks (semantic, pose) by 1 then' in told[0]


def test_a_mixtures_checkpoint_starts_a_task_and_back(config, model):
    checkpoint = dict(state_dict=model.state_dict())
    single = alone(config, 'depth')
    report = load_weights(single, checkpoint, False, ())
    assert not any(part.missing or part.unexpected
                   for part in report.parts.values())
    assert 'not loaded: semantic, instance, panoptic, detection, pose' in str(
        report)
    expected = take_task(checkpoint, 'depth')['state_dict']
    tiny.assert_same(single.state_dict(), expected)
    # And back: the task's own weights change, those of the others stay.
    for p in single.parameters():
        torch.nn.init.normal_(p.data, std=.05)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    report = load_weights(model, dict(state_dict=single.state_dict()), False,
                          ())
    after = model.state_dict()
    tiny.assert_same(
        take_task(dict(state_dict=after), 'depth')['state_dict'],
        single.state_dict())
    others = [k for k in after if k.startswith('tasks.') and '.depth' not in k]
    assert all(torch.equal(after[k], before[k]) for k in others)
    rows = model.tasks.detection.backbone._rows
    table = 'backbone.queries.embeddings'
    where = slice(rows.start, rows.stop)
    assert torch.equal(after[table][where], before[table][where])


def test_a_mixture_starts_another_mixture(scenes, model):
    """Tasks find each other by their names, wherever their queries are."""
    config = mixed(scenes, ('detection', 'pose'))
    other = build(config.model)
    rows = [m.tasks.detection.backbone._rows for m in (other, model)]
    assert rows[0] != rows[1] and len(rows[0]) == len(rows[1])
    load_weights(other, dict(state_dict=model.state_dict()), False, ())
    for task in other.tasks:
        tiny.assert_same(*(take_task(dict(
            state_dict=m.state_dict()), task)['state_dict']
                           for m in (other, model)))


def test_a_mixture_without_the_task_is_not_evaluated_as_it(
        config, scenes, model):
    """In training the head starts anew, as from any other task."""
    other = build(mixed(scenes, ('detection', 'pose')).model)
    given = dict(state_dict=other.state_dict())
    report = load_weights(alone(config, 'depth'), given, False, ())
    assert not report.parts['encoder'].missing
    with pytest.raises(
            CheckpointError,
            match='bin_length.*are not loaded: detection, pose'):
        report.refuse_untrained()
    # A mixture that has more tasks names those that are missing.
    report = load_weights(model, given, False, ())
    with pytest.raises(CheckpointError, match='not in .* tasks.semantic.dec'):
        report.refuse_untrained()


def test_pretrained_takes_the_queries_of_a_task(config, model, tmp_path):
    path = str(tmp_path / 'mixture.pth')
    torch.save(dict(state_dict=model.state_dict(), meta=dict()), path)
    single = alone(config, 'pose').backbone
    start = single.queries.embeddings.detach().clone()
    Pretrained(path)(single)
    assert torch.equal(single.queries.embeddings, start)
    assert torch.equal(single.queries.cls_token,
                       model.backbone.queries.cls_token)
    Pretrained(path, task='pose')(single)
    rows = model.tasks.pose.backbone._rows
    assert torch.equal(single.queries.embeddings,
                       model.backbone.queries.embeddings[rows.start:rows.stop])
    with pytest.raises(
            CheckpointError,
            match=r"mixture.pth: it has no task 'flow': it is a mixture of "
            'semantic, instance, panoptic, detection, depth, pose. Name one'):
        Pretrained(path, task='flow')(single)


def test_tasks_with_heads_alike_are_not_confused(config):
    settings = config.model.to_dict()
    semantic = settings['tasks']['semantic']
    twins = build(
        dict(settings, tables=None, tasks=dict(city=semantic, farm=semantic)))
    with pytest.raises(CheckpointError, match='city, farm of .*take_task.py'):
        load_weights(
            alone(config, 'semantic'), dict(state_dict=twins.state_dict()),
            False, ())
    with pytest.raises(CheckpointError, match='city, farm of .*init_cfg=dict'):
        given = alone(config, 'semantic').state_dict()
        load_weights(twins, dict(state_dict=given), False, ())
    # Other labels tell which is meant.
    farm = dict(semantic, decode_head=dict(semantic['decode_head']))
    farm['decode_head']['num_classes'] = 3
    twins = build(
        dict(settings, tables=None, tasks=dict(city=semantic, farm=farm)))
    single = alone(config, 'semantic')
    load_weights(single, dict(state_dict=twins.state_dict()), False, ())
    assert torch.equal(single.decode_head.cls_embed.weight,
                       twins.tasks.city.decode_head.cls_embed.weight)


@pytest.mark.parametrize('change,match', [
    (dict(tables=[['semantic', 'depth']]), "'instance' is in 0 of model.tab"),
    (dict(tables=[['flow']]), "names 'flow', and model.tasks has semantic, "),
    (dict(tables=None), "'semantic' and 'detection' share queries that are "),
    (dict(loss_weights=dict(flow=2)), "loss_weights names 'flow'"),
    (dict(backbone=dict(BACKBONE, cuda_graph=True)), 'cuda-graph. out'),
    (dict(tasks={'my loss': {}}), "'my loss' cannot be the name of a task"),
    (dict(tables=None, tasks=dict(depth={})), "'depth' has no queries: set"),
])
def test_what_cannot_be_shared_is_refused(config, change, match):
    init_default_scope('mmengine')
    with pytest.raises(UserError, match=match):
        MODELS.build(dict(config.model.to_dict(), **change))


def test_data_of_no_task_is_refused(model, batches):
    with pytest.raises(UserError, match="of task 'flow', and the model has"):
        losses(model, dict(flow=batches['depth']))
    with pytest.raises(UserError, match="'two' has no data: its data set is"):
        multitask.MultitaskDataset(dict(one=Numbers(3), two=Numbers(0)))
    with pytest.raises(UserError, match='ratio.*one, two'):
        data = multitask.MultitaskDataset(dict(one=Numbers(3), two=Numbers(1)))
        multitask.TaskSampler(data, seed=0, ratio=dict(one=1))
    with pytest.raises(UserError, match="'flow' of the mixture: there is no"):
        multitask.mixture(str(CONFIGS), dict(flow='flow/glid.py'))


@pytest.mark.parametrize('change,match', [
    ({}, None),
    ({
        'train': ('semantic', )
    }, "'instance' of the model has no data to train with: the data has se"),
    ({
        'num_classes': 9
    }, 'decode_head.num_classes is 9, and the data set'),
    ({
        'num_queries': 5
    }, 'num_queries is 5, and the data set .* has 17 keypoints'),
])  # yapf: disable
def test_each_task_is_checked_against_its_data(config, model, dataset, change,
                                               match):
    """Of a run, hooks see the model and data sets alone."""
    init_default_scope('mmengine')
    hook = HOOKS.build(config.default_hooks.tasks)
    names = change.get('train', dataset.tasks)
    data = SimpleNamespace(tasks={name: dataset.tasks[name] for name in names})
    model.tasks.semantic.decode_head.num_classes = change.get('num_classes', 7)
    pose = model.tasks.pose.backbone.queries
    pose.num_queries = change.get('num_queries', 17)
    loader = SimpleNamespace(dataset=data)
    runner = SimpleNamespace(
        model=model, train_dataloader=loader, val_loop=None)
    with pytest.raises(UserError, match=match) if match else nullcontext():
        hook.before_train(runner)


def test_evaluation_leaves_tasks_out(config):
    """Those without a loader; those without metrics are an error."""

    def loop(**changes):
        runner = SimpleNamespace(
            seed=0,
            visualizer=SimpleNamespace(),
            _randomness_cfg={},
            build_dataloader=Runner.build_dataloader,
            build_evaluator=lambda config: Evaluator(config))
        evaluators = {**config.val_evaluator, **changes.pop('metrics', {})}
        return multitask.TaskValLoop(runner, {
            **config.val_dataloader,
            **changes
        }, evaluators)

    init_default_scope('mmengine')
    left = loop(instance=None, panoptic=None, detection=None, pose=None)
    assert [*left.dataloader.dataset.tasks] == ['semantic', 'depth']
    assert [*left.evaluator.tasks] == ['semantic', 'depth']
    assert [[*batch] for batch in left.dataloader] == [['semantic'],
                                                       ['semantic'], ['depth'],
                                                       ['depth']]
    with pytest.raises(UserError, match="'pose' has data .* and no metrics"):
        loop(metrics=dict(pose=None))
