import numpy as np
import pytest
import torch

from glid_mm.models.layers.tokens import STRIDES
from glid_mm.registry import MODELS
from glid_mm.visualization.attention import (SCALES, attention_panel,
                                             distances, passes_of)
from glid_mm.visualization.panels import GAP, TITLE_HEIGHT
from tests.nano import BACKBONE, pretrainer, scenes


@pytest.fixture(scope='module')
def glid():
    torch.manual_seed(0)
    return MODELS.build(dict(BACKBONE, num_queries=5, embedding_std=.5)).eval()


def observe(glid, *args, run=None):
    """A forward pass, and the output of each cross-attention."""
    outputs = []
    hooks = [
        layer.cross_attn.register_forward_hook(
            lambda module, args, output: outputs.append(output))
        for layer in glid.decoder.layers
    ]
    with passes_of(glid) as passes:
        (run or glid)(*args)
    for hook in hooks:
        hook.remove()
    return passes[0], outputs


def padded():
    mask = torch.zeros(2, 64, 96, dtype=torch.bool)
    mask[0, 40:] = True
    mask[1, :, 50:] = True
    return torch.randn(2, 3, 64, 96), mask


@pytest.mark.parametrize(
    'args', [
        lambda: (torch.randn(2, 3, 64, 96), None),
        lambda: (torch.randn(1, 3, 50, 70), None),
        padded,
    ],
    ids=['whole', 'odd', 'padded'])
@torch.no_grad()
def test_weights_times_values_are_the_fused_output(glid, args):
    seen, outputs = observe(glid, *args())
    assert len(outputs) == 4
    for layer, output in enumerate(outputs):
        attention, _, key, value, exists = seen.reads[layer]
        weights = seen.weights(layer, range(5))
        assert (weights.sum(-1) - 1).abs().max() < 1e-5
        if exists is not None:
            absent = ~exists.repeat(len(key) // len(exists), 1)
            assert not weights.mT[absent[:, None].expand(-1, 6, -1)].any()
        v = attention.v(value).unflatten(-1, (6, -1)).transpose(1, 2)
        mine = attention.proj((weights @ v).transpose(1, 2).flatten(2))
        assert (mine - output).abs().max() < 1e-5
        assert output.std() > 1e-2
    assert seen.output.query_features.shape[2] == 5


@torch.no_grad()
def test_weights_of_pre_training_are_of_visible_units():
    torch.manual_seed(0)
    model = pretrainer(mask_ratio=.5).eval()
    images, _ = scenes(1)
    visible = torch.tensor([[1, 2]])
    seen, outputs = observe(
        model.backbone, images / 255, visible, run=model.reconstruct)
    for layer, output in enumerate(outputs):
        attention, _, _, value, _ = seen.reads[layer]
        weights = seen.weights(layer, range(3))
        v = attention.v(value).unflatten(-1, (6, -1)).transpose(1, 2)
        mine = attention.proj((weights @ v).transpose(1, 2).flatten(2))
        assert (mine - output).abs().max() < 1e-5
    for scale, stride in enumerate(SCALES):
        maps = seen.maps(scale, [0, 2])
        side = 32 // stride
        assert maps.shape == (1, 2, 2 * side, 2 * side)
        assert (maps.sum((2, 3)) - 1).abs().max() < 1e-5
        assert not maps[..., :side, :side].any()
        assert not maps[..., side:, side:].any()
        assert (maps[..., :side, side:] > 0).all()


@torch.no_grad()
def test_maps_show_tokens_where_they_lie(glid):
    """If only one key is attended to, it appears at its place."""
    images = torch.randn(1, 3, 64, 96)
    with passes_of(glid) as passes:
        glid(images)
    seen, = passes
    for scale, stride in enumerate(SCALES):
        layer = seen.layer_of(scale)
        assert layer == (3, 1, 2)[scale]
        level = seen.grid.levels[STRIDES.index(stride)]
        token = level.coords.shape[1] // 2 + 1
        row, col = level.coords[0, token].tolist()
        seen.weights = lambda layer, queries: torch.nn.functional.one_hot(
            torch.tensor(token), level.coords.shape[1]).float().expand(
                1, 6, len(queries), -1)
        maps = seen.maps(scale, [0])
        assert maps[0, 0, row, col] == 1 and maps.sum() == 1
        del seen.weights


def test_model_is_as_it_was_afterwards(glid):
    with pytest.raises(ZeroDivisionError), passes_of(glid):
        raise ZeroDivisionError
    assert not any(m._forward_hooks or m._forward_pre_hooks
                   for m in glid.modules())


def test_distances_tell_own_places_from_others():
    maps = torch.zeros(2, 2, 4)
    maps[0, 0, 0] = maps[1, 1, 3] = 1
    points = torch.tensor([[16., 16.], [112., 48.]])
    own, others = distances(maps, points, 32)
    assert own == 0
    assert others == pytest.approx((96**2 + 32**2)**.5)
    assert distances(maps, points.flip(0), 32).own == pytest.approx(others)


@torch.no_grad()
def test_panel_has_a_row_for_each_query(glid):
    images, mask = padded()
    seen, _ = observe(glid, images[:1], mask[:1])
    assert seen.size == (40, 96)
    picture = np.full((64, 96, 3), 200, np.uint8)
    points = torch.tensor([[30., 20.], [torch.nan] * 2])
    panel = attention_panel(seen, picture, [3, 1], points, ['3', '1'])
    # Twice as large, without padding.
    assert panel.shape == (TITLE_HEIGHT + 2 * (80 + GAP) - GAP,
                           4 * (192 + GAP) - GAP, 3)
    image = panel[TITLE_HEIGHT:TITLE_HEIGHT + 80, :192]
    assert (image[40, 60] == (0, 255, 255)).all()
    second = panel[TITLE_HEIGHT + 80 + GAP:, :192]
    assert (second[30:] == 200).all()
    cell = panel[TITLE_HEIGHT + 80 + GAP:, 192 + GAP:2 * 192 + GAP]
    heat = seen.maps(0, [1])[0, 0, :2]
    row, col = divmod(int(heat.argmax()), 3)
    bright = cell.mean(-1)[64 * row:64 * row + 64, 64 * col:64 * col + 64]
    assert bright.mean() == pytest.approx(cell.mean(-1).max())
