"""A pre-training checkpoint loads into every task."""
import logging

import pytest
import torch
from mmengine.runner import load_state_dict

from ..nano import pretrainer, segmentor


def state(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def test_plain_loading_fills_everything_but_the_head_and_queries():
    torch.manual_seed(0)
    source, target = pretrainer(), segmentor()
    given, before = state(source), state(target)
    load_state_dict(target, given)
    after = state(target)
    new = {'backbone.queries.embeddings'}
    for key, value in after.items():
        if key.startswith('backbone.') and key not in new:
            assert torch.equal(value, given[key]), key
        else:
            assert torch.equal(value, before[key]), key
    assert {k for k in given if k.startswith('backbone.')} == {
        k for k in after if k.startswith('backbone.')
    } - new  # yapf: disable


def test_rims_of_position_biases_are_extended_aloud(caplog):
    source, target = pretrainer(), segmentor()
    # The largest maps that stage 4 sees at 64 px are 2×2.
    source.train().loss(torch.zeros(4, 3, 64, 64), None)
    assert source.backbone.encoder.stages[3].trained_extent == 2
    with caplog.at_level(logging.WARNING, 'glid_mm'):
        load_state_dict(target, state(source))
    assert 'stage 4' in caplog.text and 'extended to 8×8' in caplog.text
    attn = target.backbone.encoder.stages[3].blocks[0].attn
    table = attn.relative_position_bias_table.detach().view(15, 15, -1)
    trained = source.backbone.encoder.stages[3].blocks[0].attn
    trained = trained.relative_position_bias_table.detach().view(15, 15, -1)
    assert torch.equal(table[6:9, 6:9], trained[6:9, 6:9])
    assert torch.equal(table[0, 0], trained[6, 6])
    assert torch.equal(table[14, 3], trained[8, 6])
    caplog.clear()
    # Extended rims are trained from then on: loading again must not undo that.
    again = segmentor()
    load_state_dict(again, state(target))
    assert not caplog.records
    # Pre-training itself resumes unchanged.
    resumed = pretrainer()
    load_state_dict(resumed, state(source))
    assert all(
        torch.equal(a, b)
        for a, b in zip(state(source).values(),
                        state(resumed).values()))


def test_another_window_is_resized_aloud(caplog):
    source, target = pretrainer(), segmentor()
    given = state(source)
    config = dict(arch='nano', window_size=4)
    from glid_mm.backbones import GLIDBackbone as GLID
    target.backbone = GLID(
        encoder=config,
        neck=dict(channels=96, num_layers=2),
        decoder=dict(dims=192, num_layers=4, num_heads=6),
        num_queries=20)
    with caplog.at_level(logging.WARNING, 'glid_mm'):
        load_state_dict(target, given)
    assert 'resized from window 8 to 4' in caplog.text


def test_another_architecture_is_refused():
    from glid_mm.backbones import GLIDBackbone as GLID
    target = segmentor()
    target.backbone = GLID(
        encoder=dict(arch='tiny'),
        neck=dict(channels=96, num_layers=2),
        decoder=dict(dims=192, num_layers=4, num_heads=6),
        num_queries=20)
    with pytest.raises(RuntimeError, match='lacks|another architecture'):
        load_state_dict(target, state(pretrainer()))
    wider = pretrainer().state_dict()
    wider['backbone.neck.laterals.0.0.weight'] = torch.zeros(128, 32)
    with pytest.raises(RuntimeError, match='another architecture.*laterals'):
        load_state_dict(segmentor(), wider)


@pytest.mark.parametrize('weights', [{}, {'backbone.conv1.weight': 0}])
def test_a_checkpoint_of_something_else_is_refused(weights):
    weights = {k: torch.zeros(1) for k in weights}
    with pytest.raises(RuntimeError, match='lacks .* weights of'):
        load_state_dict(segmentor(), weights)


def test_another_tasks_queries_start_anew():
    source, target = segmentor(num_queries=30), segmentor(num_queries=20)
    given = state(source)
    given['backbone.queries.embeddings'].normal_()
    load_state_dict(target, given)
    assert (target.backbone.queries.embeddings == 0).all()


def test_a_task_trained_from_scratch_is_loaded_as_it_is():
    source, target = segmentor(), segmentor()
    source.train().extract_feat(torch.zeros(1, 3, 64, 96))
    for stage in source.backbone.encoder.stages:
        stage.blocks[0].attn.relative_position_bias_table.data.normal_()
    load_state_dict(target, state(source))
    assert all(
        torch.equal(a, b)
        for a, b in zip(state(source).values(),
                        state(target).values()))
