import logging

import pytest
import torch
import torch.nn.functional as F

from glid_mm.models import SwinEncoder
from glid_mm.models.layers.position_bias import (extend_rim, resize_bias_table,
                                                 table_window)
from glid_mm.models.layers.tokens import TokenGrid


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
    # The offset (0, 0) is in the middle of a table of any window.
    table = torch.zeros(15**2, 1)
    table[7 * 15 + 7] = 1
    out = resize_bias_table(table, 12)
    assert out.argmax() == 11 * 23 + 11


@pytest.mark.parametrize('shape', [(16, 4), (24, 4), (25, ), (25, 1, 4)])
def test_what_is_no_table_is_refused(shape):
    with pytest.raises(ValueError, match=r'x.y has shape .*2·window − 1'):
        table_window(torch.zeros(shape), 'x.y')


TABLE = 'stages.{}.blocks.1.attn.relative_position_bias_table'


@pytest.mark.parametrize('window,told', [(6, '4 to 6'),
                                         ((6, 4, 5, 3), '4 to 6-4-5-3')])
def test_loading_resizes_once_aloud_and_leaves_equal_windows_alone(
        window, told, caplog):
    small = SwinEncoder('nano', window_size=4)
    given = small.state_dict()
    with caplog.at_level(logging.WARNING, 'glid_mm'):
        SwinEncoder('nano', window_size=4).load_state_dict(given)
        assert not caplog.records
        other = SwinEncoder('nano', window_size=window)
        other.load_state_dict(given)
    record, = caplog.records
    assert f'resized from window {told}' in record.getMessage()
    for number, stage in enumerate(other.stages):
        table = given[TABLE.format(number)]
        assert len(table) == 49  # untouched
        if stage.window_size != 4:
            table = resize_bias_table(table, stage.window_size)
        assert torch.equal(stage.blocks[1].attn.relative_position_bias_table,
                           table)


def test_untrained_rim_is_not_mixed_in_by_resizing(caplog):
    source = SwinEncoder('nano', window_size=6)
    source.stages[2].trained_extent.fill_(6)
    source.stages[3].trained_extent.fill_(3)
    given = source.state_dict()
    target = SwinEncoder('nano', window_size=8)
    target.load_state_dict(given)
    assert extents(target) == [0, 0, 8, 8]
    table = given[TABLE.format(3)].clone()
    extend_rim(table, 3)
    expected = resize_bias_table(table, 8)
    attn = target.stages[3].blocks[1].attn
    assert torch.equal(attn.relative_position_bias_table, expected)
    # All of it is trained now; nothing is left to extend.
    target.extend_bias_rims()
    assert torch.equal(attn.relative_position_bias_table, expected)
    assert not any('extended' in r.getMessage() for r in caplog.records)


@pytest.mark.parametrize('trained', [1, 3, 6])
def test_rim_takes_the_nearest_trained_value(trained):
    table = torch.randn(11**2, 2)
    before = table.clone()
    extend_rim(table, trained)
    for dy in range(-5, 6):
        for dx in range(-5, 6):
            near = [min(max(d, 1 - trained), trained - 1) for d in (dy, dx)]
            assert torch.equal(table[(dy + 5) * 11 + dx + 5],
                               before[(near[0] + 5) * 11 + near[1] + 5])
    if trained == 6:
        assert torch.equal(table, before)


def extents(encoder):
    return [int(s.trained_extent) for s in encoder.stages]


def test_extent_is_counted_in_pretraining_only(caplog):
    encoder = SwinEncoder('nano', window_size=6)
    images = torch.zeros(1, 3, 64, 96)
    visible = torch.tensor([[0, 4]])
    assert extents(encoder) == [0, 0, 0, 0]
    encoder.eval()(images, TokenGrid((2, 3), visible))
    encoder.train()(images, TokenGrid((2, 3)))
    assert extents(encoder) == [0, 0, 0, 0]
    encoder(images, TokenGrid((2, 3), visible))
    assert extents(encoder) == [6, 6, 6, 3]
    encoder(images[..., :64], TokenGrid((2, 2), visible[:, :1]))
    assert extents(encoder) == [6, 6, 6, 3]  # what was seen stays seen
    loaded = SwinEncoder('nano', window_size=6)
    loaded.load_state_dict(encoder.state_dict())
    assert extents(loaded) == [6, 6, 6, 3]

    tables = [
        s.blocks[0].attn.relative_position_bias_table.clone()
        for s in loaded.stages
    ]
    with caplog.at_level(logging.WARNING, 'glid_mm'):
        loaded.extend_bias_rims()
        loaded.extend_bias_rims()
    assert extents(loaded) == [6, 6, 6, 6]
    assert len(caplog.records) == 1 and 'stage 4' in caplog.text
    for number, (stage, table) in enumerate(zip(loaded.stages, tables)):
        if number == 3:
            extend_rim(table, 3)
        now = stage.blocks[0].attn.relative_position_bias_table
        assert torch.equal(now, table)


def test_untrained_weights_have_no_rim(caplog):
    encoder = SwinEncoder('nano')
    state = {k: v.clone() for k, v in encoder.state_dict().items()}
    encoder.extend_bias_rims()
    assert not caplog.records
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, state[key])
