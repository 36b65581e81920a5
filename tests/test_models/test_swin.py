import pytest
import timm
import torch

from glid_mm.checkpoint.formats import ENCODER, from_glid
from glid_mm.models import SwinEncoder, sample_visible
from glid_mm.models.layers.tokens import TokenGrid
from .swin_reference import encode


def random_encoder(window, arch='nano', dtype=torch.float64):
    torch.manual_seed(0)
    encoder = SwinEncoder(arch, window_size=window).to(dtype).eval()
    for name, p in encoder.named_parameters():
        # Large biases and uneven norms expose errors.
        if 'bias_table' in name:
            torch.nn.init.normal_(p)
        elif 'norm' in name:
            torch.nn.init.normal_(p, mean=1, std=.3)
        else:
            torch.nn.init.normal_(p, std=.1)
    return encoder


def visible_map(visible, units, stride=4):
    """``(G, V)`` -> ``(G, H/4, W/4)`` bool."""
    exists = torch.zeros(len(visible), units[0] * units[1], dtype=torch.bool)
    exists.scatter_(1, visible, True)
    side = 32 // stride
    exists = exists.view(-1, *units).repeat_interleave(side, 1)
    return exists.repeat_interleave(side, 2)


@pytest.mark.parametrize('window', [6, 7, 8, 12])
@pytest.mark.parametrize('units', [(3, 4), (6, 6), (1, 2)])
@torch.no_grad()
def test_visible_only_equals_dense_with_masked_keys(window, units):
    encoder = random_encoder(window)
    images = torch.randn(4, 3, 32 * units[0], 32 * units[1]).double()
    ratio = .5 if units == (1, 2) else .75
    visible = sample_visible(units, ratio, groups=2)
    outs = encoder(images, TokenGrid(units, visible))

    exists = visible_map(visible, units).repeat(2, 1, 1)
    expected = encode(encoder, images, exists)
    grid = TokenGrid(units, visible)
    for level, (out, (feature, here)) in enumerate(zip(outs, expected)):
        out = grid.levels[level].to_map(out).permute(0, 2, 3, 1)
        assert here.any() and not here.all()
        assert (out - feature)[here].abs().max() <= 1e-9
        assert (out[~here] == 0).all()


@pytest.mark.parametrize('window,size', [(7, 224), (12, 384)])
@torch.no_grad()
def test_dense_equals_timm(window, size):
    # These sizes need no padding; timm would attend to padded keys.
    ours = random_encoder(window, 'nano', torch.float32)
    theirs = timm.models.swin_transformer.SwinTransformer(
        img_size=size,
        window_size=window,
        embed_dim=32,
        depths=(2, 2, 4, 2),
        num_heads=(1, 2, 4, 8),
        num_classes=0).eval()
    weights = {f'{ENCODER}{k}': v for k, v in ours.state_dict().items()}
    state = from_glid(dict(state_dict=weights), 'timm').checkpoint
    theirs.load_state_dict(state['state_dict'])
    images = torch.randn(2, 3, size, size)
    features = theirs.forward_intermediates(images, intermediates_only=True)
    grid = TokenGrid.whole(size, size, torch.device('cpu'))
    outs = ours(images, grid)
    assert len(features) == 4
    for level, (out, feature) in enumerate(zip(outs, features)):
        expected = ours.norms[level](feature.permute(0, 2, 3, 1))
        out = grid.levels[level].to_map(out).permute(0, 2, 3, 1)
        assert (out - expected).abs().max() <= 1e-4


@pytest.mark.parametrize('size', [(100, 150), (64, 96), (33, 250)])
@torch.no_grad()
def test_dense_equals_reference_at_any_size(size):
    encoder = random_encoder(6)
    images = torch.randn(1, 3, *size).double()
    grid = TokenGrid.whole(*size, torch.device('cpu'))
    padded = torch.zeros(1, 3, 32 * grid.units[0], 32 * grid.units[1]).double()
    padded[..., :size[0], :size[1]] = images
    outs = encoder(padded, grid)
    rows, cols = -(-size[0] // 4), -(-size[1] // 4)
    expected = encode(encoder, padded[..., :4 * rows, :4 * cols],
                      torch.ones(1, rows, cols, dtype=torch.bool))
    for level, (out, (feature, _)) in enumerate(zip(outs, expected)):
        out = grid.levels[level].to_map(out).permute(0, 2, 3, 1)
        out = out[:, :feature.shape[1], :feature.shape[2]]
        assert (out - feature).abs().max() <= 1e-9


def test_plans_are_made_once_per_shape():
    encoder = random_encoder(8)
    images = torch.randn(1, 3, 64, 64).double()
    TokenGrid.whole.cache_clear()
    grid = TokenGrid.whole(64, 64, torch.device('cpu'))
    encoder(images, grid)
    keys = [(i, 8, shifted) for i in range(4) for shifted in (False, True)]
    plans = [(grid.windows(*key), grid.pairs(*key)) for key in keys]
    # Maps of 8×8 tokens or fewer are not shifted.
    assert len({id(windows) for windows, _ in plans}) == 5
    assert TokenGrid.whole(64, 64, torch.device('cpu')) is grid
    encoder(images, grid)
    for key, (windows, pairs) in zip(keys, plans):
        assert grid.windows(*key) is windows and grid.pairs(*key) is pairs


def test_windows_of_whole_images_share_a_bias_and_have_no_absent_keys():
    grid = TokenGrid.whole(192, 192, torch.device('cpu'))
    windows, pairs = (f(0, 12, False) for f in (grid.windows, grid.pairs))
    assert len(windows.move.source) == 48 * 48 and windows.exists is None
    assert pairs.entry.shape == (1, 144, 144) and pairs.place is None


def test_shapes_do_not_depend_on_which_units_are_visible():
    shapes = set()
    for strategy in ('random', 'block', 'grid'):
        grid = TokenGrid((7, 7), sample_visible((7, 7), .75, strategy, 2))
        parts = []
        for level in range(4):
            for shifted in (False, True):
                parts += [
                    grid.windows(level, 12, shifted),
                    grid.pairs(level, 12, shifted)
                ]
        leaves = torch.utils._pytree.tree_leaves((parts, grid.levels))
        shapes.add(tuple(x.shape if torch.is_tensor(x) else x for x in leaves))
    assert len(shapes) == 1


@pytest.mark.parametrize('units,together', [((6, 6), True), ((12, 12), False)])
def test_what_has_fewer_pairs_is_computed(units, together):
    visible = sample_visible(units, .75)
    windows = TokenGrid(units, visible).windows(0, 12, False)
    assert (windows.move is None) == together
    assert (windows.exists is None) == together


@pytest.mark.parametrize('checkpointing', [False, True])
def test_gradients_of_visible_only_equal_reference(checkpointing):
    encoder = random_encoder(6).train()
    encoder.checkpointed_stages = 4 * checkpointing
    units, visible = (4, 4), sample_visible((4, 4), .75, groups=2)
    images = torch.randn(2, 3, 128, 128).double()
    grid = TokenGrid(units, visible)
    outs = encoder(images, grid)
    goals = [torch.randn_like(out) for out in outs]
    sum((o * g).sum() for o, g in zip(outs, goals)).backward()
    grads = {n: p.grad for n, p in encoder.named_parameters()}
    encoder.zero_grad()
    expected = encode(encoder, images, visible_map(visible, units))
    loss = 0
    for level, (goal, (feature, _)) in enumerate(zip(goals, expected)):
        goal = grid.levels[level].to_map(goal).permute(0, 2, 3, 1)
        loss = loss + (feature * goal).sum()
    loss.backward()
    for name, p in encoder.named_parameters():
        assert torch.allclose(grads[name], p.grad, atol=1e-9), name


def test_drop_path_is_off_in_evaluation_and_random_in_training():
    torch.manual_seed(0)
    encoder = SwinEncoder('nano', drop_path_rate=.5)
    images = torch.randn(2, 3, 64, 64)
    grid = TokenGrid.whole(64, 64, torch.device('cpu'))
    encoder.eval()
    assert torch.equal(encoder(images, grid)[3], encoder(images, grid)[3])
    encoder.train()
    assert not torch.equal(encoder(images, grid)[3], encoder(images, grid)[3])


def test_unknown_architecture_is_named():
    with pytest.raises(ValueError, match="'huge'.*nano, tiny"):
        SwinEncoder('huge')
