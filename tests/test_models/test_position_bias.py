import logging

import pytest
import torch
import torch.nn.functional as F

from glid_mm.models import SwinEncoder
from glid_mm.models.layers.position_bias import (extend_rim, resize_bias_table,
                                                 table_window)
from glid_mm.models.layers.tokens import TokenGrid
from glid_mm.models.layers.window_attention import WindowAttention


@pytest.mark.parametrize('old,new', [(7, 12), (12, 7), (8, 8), (1, 4)])
def test_resized_head_by_head(old, new, caplog):
    table = torch.randn((2 * old - 1)**2, 3)
    with caplog.at_level(logging.WARNING, 'glid_mm'):
        out = resize_bias_table(table, new, 'stage.table')
    assert f'stage.table: resized from window {old} to {new}' in caplog.text
    assert out.shape == ((2 * new - 1)**2, 3) and out.dtype == table.dtype
    for head in range(3):
        image = table[:, head].view(1, 1, 2 * old - 1, 2 * old - 1)
        image = F.interpolate(image, (2 * new - 1, ) * 2, mode='bicubic')
        assert (out[:, head] - image.flatten()).abs().max() < 1e-5
    if old == new:
        assert torch.equal(out, table)


def test_resizing_keeps_the_centre():
    # The offset (0, 0) is in the middle of a table of any window.
    table = torch.zeros(15**2, 1)
    table[7 * 15 + 7] = 1
    out = resize_bias_table(table, 12, 'table')
    assert out.argmax() == 11 * 23 + 11


@pytest.mark.parametrize('shape', [(16, 4), (24, 4), (25, ), (25, 1, 4)])
def test_what_is_no_table_is_refused(shape):
    with pytest.raises(ValueError, match=r'x.y has shape .*2·window − 1'):
        table_window(torch.zeros(shape), 'x.y')


def test_loading_resizes_aloud_and_leaves_equal_windows_alone(caplog):
    small, large = WindowAttention(8, 2, 4), WindowAttention(8, 2, 6)
    with caplog.at_level(logging.WARNING, 'glid_mm'):
        WindowAttention(8, 2, 4).load_state_dict(small.state_dict())
        assert not caplog.records
        given = small.state_dict()
        large.load_state_dict(given)
    assert len(caplog.records) == 1
    expected = resize_bias_table(small.relative_position_bias_table, 6, '')
    assert torch.equal(large.relative_position_bias_table, expected)
    assert len(given['relative_position_bias_table']) == 49  # untouched


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


def test_extent_is_counted_in_training_only(caplog):
    encoder = SwinEncoder('nano', window_size=6)
    images = torch.zeros(1, 3, 96, 128)
    visible = torch.tensor([[0, 7]])
    assert extents(encoder) == [0, 0, 0, 0]
    encoder.eval()(images, TokenGrid((3, 4), visible))
    assert extents(encoder) == [0, 0, 0, 0]
    encoder.train()(images, TokenGrid((3, 4), visible))
    assert extents(encoder) == [6, 6, 6, 3]
    encoder(images[..., :64, :64], TokenGrid((2, 2)))
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
