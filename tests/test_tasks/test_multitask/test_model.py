"""A task in a mixture equals the same task alone."""
import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, init_default_scope

from glid_mm.checkpoint.tasks import take_task
from glid_mm.errors import UserError
from ..mixtures import BACKBONE, TASKS
from .build import alone, build, copy, losses

# The attributes that hold the numbers of a prediction.
PREDICTED = dict(
    semantic=('seg_logits', 'data'),
    instance=('pred_instances', 'masks'),
    panoptic=('pred_panoptic_seg', 'sem_seg'),
    detection=('pred_instances', 'bboxes'),
    depth=('pred_depth_map', 'data'),
    pose=('pred_instances', 'keypoints'))


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
    # A task of the mixture also works as a complete model of its library.
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
    # Each loss term needs some ground truth.
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


@pytest.mark.parametrize('change,match', [
    (dict(tables=[['semantic', 'depth']]), "'instance' is in 0 of model.tab"),
    (dict(tables=[['flow']]), "names 'flow', but model.tasks has semantic, "),
    (dict(tables=None), "'semantic' and 'detection' share queries but "),
    (dict(loss_weights=dict(flow=2)), "loss_weights names 'flow'"),
    (dict(backbone=dict(BACKBONE, cuda_graph=True)), 'Omit --cuda-graph'),
    (dict(tasks={'my loss': {}}), "'my loss' cannot be the name of a task"),
    (dict(tables=None, tasks=dict(depth={})), "'depth' has no queries: set"),
])
def test_what_cannot_be_shared_is_refused(config, change, match):
    init_default_scope('mmengine')
    with pytest.raises(UserError, match=match):
        MODELS.build(dict(config.model.to_dict(), **change))


@pytest.mark.parametrize('change,match', [
    (dict(in_channels=512), "task 'pose': model.head.in_channels is 512, but "
     'the decoder makes queries of'),
    (dict(mask_channels=44), "task 'pose': model.head.mask_channels is 44, "
     'but the neck makes mask features of'),
])  # yapf: disable
def test_a_head_that_does_not_fit_the_shared_model_is_refused(
        config, change, match):
    init_default_scope('mmengine')
    settings = config.model.to_dict()
    settings['tasks']['pose']['head'].update(change)
    with pytest.raises(UserError, match=match):
        MODELS.build(settings)
