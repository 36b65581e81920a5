"""Weights move between mixtures and single tasks."""
import pytest
import torch

from glid_mm.checkpoint.loading import load_weights
from glid_mm.checkpoint.pretrained import Pretrained
from glid_mm.checkpoint.tasks import take_task
from glid_mm.errors import CheckpointError
from ...test_engine import tiny
from ..mixtures import mixed
from .build import alone, build


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
    # Back again: the weights of this task change, those of other tasks stay.
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
    """Tasks are matched by name, wherever their queries are in the table."""
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
    """In training the head starts new, as from any other task."""
    other = build(mixed(scenes, ('detection', 'pose')).model)
    given = dict(state_dict=other.state_dict())
    report = load_weights(alone(config, 'depth'), given, False, ())
    assert not report.parts['encoder'].missing
    with pytest.raises(
            CheckpointError,
            match='bin_length.*are not loaded: detection, pose'):
        report.refuse_untrained()
    # A mixture with more tasks names the missing ones.
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
    # Another number of classes tells them apart.
    farm = dict(semantic, decode_head=dict(semantic['decode_head']))
    farm['decode_head']['num_classes'] = 3
    twins = build(
        dict(settings, tables=None, tasks=dict(city=semantic, farm=farm)))
    single = alone(config, 'semantic')
    load_weights(single, dict(state_dict=twins.state_dict()), False, ())
    assert torch.equal(single.decode_head.cls_embed.weight,
                       twins.tasks.city.decode_head.cls_embed.weight)
