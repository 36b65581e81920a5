import logging

import pytest
import torch
import torch.nn.functional as F

from glid_mm.backbones import GLIDBackbone as GLID
from glid_mm.checkpoint.bias_tables import (extend_rim, extend_rims,
                                            resize_bias_table, table_window)
from glid_mm.models import SwinEncoder
from glid_mm.models.layers.tokens import TokenGrid
from ..nano import pretrainer


@pytest.mark.parametrize('old,new', [(7, 12), (12, 7), (8, 8), (1, 4)])
def test_resized_head_by_head(old, new):
    table = torch.randn((2 * old - 1)**2, 3)
    out = resize_bias_table(table, new)
    assert out.shape == ((2 * new - 1)**2, 3) and out.dtype == table.dtype
    for head in range(3):
        image = table[:, head].view(1, 1, 2 * old - 1, 2 * old - 1)
        image = F.interpolate(
            image.double(), (2 * new - 1, ) * 2, mode='bicubic')
        assert (out[:, head] - image.flatten()).abs().max() < 1e-6
    if old == new:
        assert torch.equal(out, table)


def test_resizing_keeps_the_centre():
    # The offset (0, 0) is the central row of every table.
    table = torch.zeros(15**2, 1)
    table[7 * 15 + 7] = 1
    out = resize_bias_table(table, 12)
    assert out.argmax() == 11 * 23 + 11


@pytest.mark.parametrize('shape', [(16, 4), (24, 4), (25, ), (25, 1, 4)])
def test_what_is_no_table_is_refused(shape):
    with pytest.raises(ValueError, match=r'x.y has shape .*2·window − 1'):
        table_window(torch.zeros(shape), 'x.y')


TABLE = 'encoder.stages.{}.blocks.1.attn.relative_position_bias_table'


def glid(window, num_queries=0):
    return GLID(
        encoder=dict(arch='nano', window_size=window),
        neck=dict(channels=8, num_layers=1),
        decoder=dict(dims=16, num_layers=1, num_heads=2),
        num_queries=num_queries)


@pytest.mark.parametrize('window,told', [(6, '4 to 6'),
                                         ((6, 4, 5, 3), '4 to 6-4-5-3')])
def test_loading_resizes_once_aloud_and_leaves_equal_windows_alone(
        window, told, caplog):
    given = glid(4).state_dict()
    with caplog.at_level(logging.WARNING, 'glid_mm'):
        glid(4).load_state_dict(given)
        assert not caplog.records
        other = glid(window)
        other.load_state_dict(given)
    record, = caplog.records
    assert f'resized from window {told}' in record.getMessage()
    for number, stage in enumerate(other.encoder.stages):
        table = given[TABLE.format(number)]
        assert len(table) == 49  # untouched
        if stage.window_size != 4:
            table = resize_bias_table(table, stage.window_size)
        assert torch.equal(stage.blocks[1].attn.relative_position_bias_table,
                           table)


def test_untrained_rim_is_not_mixed_in_by_resizing(caplog):
    source = glid(6)
    source.encoder.stages[2].trained_extent.fill_(6)
    source.encoder.stages[3].trained_extent.fill_(3)
    given = source.state_dict()
    table = extend_rim(given[TABLE.format(3)], 3)
    expected = resize_bias_table(table, 8)
    # The resized table is fully trained; a task has nothing left to extend.
    for target in glid(8), glid(8, num_queries=2):
        target.load_state_dict(given, strict=False)
        assert extents(target.encoder) == [0, 0, 8, 8]
        attn = target.encoder.stages[3].blocks[1].attn
        assert torch.equal(attn.relative_position_bias_table, expected)
    assert not any('extended' in r.getMessage() for r in caplog.records)


@pytest.mark.parametrize('trained', [1, 3, 6])
def test_rim_takes_the_nearest_trained_value(trained):
    table = torch.randn(11**2, 2)
    before = table
    table = extend_rim(before, trained)
    for dy in range(-5, 6):
        for dx in range(-5, 6):
            near = [min(max(d, 1 - trained), trained - 1) for d in (dy, dx)]
            assert torch.equal(table[(dy + 5) * 11 + dx + 5],
                               before[(near[0] + 5) * 11 + near[1] + 5])
    if trained == 6:
        assert torch.equal(table, before)


def extents(encoder):
    return [int(s.trained_extent) for s in encoder.stages]


def test_extent_is_counted_in_pretraining_only():
    model = pretrainer()
    encoder = model.backbone.encoder
    images = torch.zeros(1, 3, 64, 96)
    assert extents(encoder) == [0, 0, 0, 0]
    model.eval().loss(images, None)
    model.train().reconstruct(images)
    encoder(images, TokenGrid((2, 3)))
    assert extents(encoder) == [0, 0, 0, 0]
    model.loss(images, None)
    assert extents(encoder) == [8, 8, 6, 3]
    model.loss(images[..., :64], None)
    assert extents(encoder) == [8, 8, 6, 3]  # it never shrinks
    loaded = SwinEncoder('nano')
    loaded.load_state_dict(encoder.state_dict())
    assert extents(loaded) == [8, 8, 6, 3]


def test_a_task_extends_rims_once_aloud(caplog):
    source = glid(6)
    for stage, extent in zip(source.encoder.stages, (6, 6, 6, 3)):
        stage.trained_extent.fill_(extent)
    given = source.state_dict()
    task, again = glid(6, num_queries=2), glid(6, num_queries=2)
    with caplog.at_level(logging.WARNING, 'glid_mm'):
        task.load_state_dict(given, strict=False)
        again.load_state_dict(task.state_dict())
    assert len(caplog.records) == 1 and 'stage 4' in caplog.text
    for loaded in task, again:
        assert extents(loaded.encoder) == [6, 6, 6, 6]
        for number, stage in enumerate(loaded.encoder.stages):
            table = given[TABLE.format(number)]
            if number == 3:
                table = extend_rim(table, 3)
            now = stage.blocks[1].attn.relative_position_bias_table
            assert torch.equal(now, table)
    assert given['encoder.stages.3.trained_extent'] == 3  # untouched


def test_untrained_weights_have_no_rim():
    weights = SwinEncoder('nano').state_dict()
    state = {k: v.clone() for k, v in weights.items()}
    assert not extend_rims(weights)
    for key, value in weights.items():
        assert torch.equal(value, state[key])


def test_a_bare_encoder_refuses_tables_of_another_window():
    with pytest.raises(RuntimeError, match='size mismatch.*bias_table'):
        SwinEncoder(
            'nano', window_size=6).load_state_dict(
                SwinEncoder('nano', window_size=4).state_dict())
