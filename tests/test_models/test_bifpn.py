import torch
import torch.nn.functional as F

from glid_mm.models import BiFPN, sample_visible
from glid_mm.models.layers.tokens import TokenGrid
from .build import randomise


def reference(neck, maps, exists):
    """BiFPN on maps ``(B, C, h, w)``, masked by ``exists`` at every step."""

    def norm(layer, x):
        mean = x.mean(1, keepdim=True)
        var = ((x - mean)**2).mean(1, keepdim=True)
        x = (x - mean) / (var + layer.eps).sqrt()
        return x * layer.weight[:, None, None] + layer.bias[:, None, None]

    def linear(layer, x):
        return F.conv2d(x, layer.weight[..., None, None], layer.bias)

    def fuse(fusion, terms, level):
        weights = fusion.weights.clamp(min=0)
        x = sum(w * t for w, t in zip(weights, terms))
        x = x / (weights.sum() + 1e-4) * exists[level]
        x = x * x.sigmoid() * exists[level]
        conv, padded = fusion.conv, F.pad(x, (1, 1, 1, 1))
        h, w = x.shape[2:]
        x = sum(padded[:, :, i:i + h, j:j + w] *
                conv.depthwise.weight[:, 0, i, j, None, None] for i in range(3)
                for j in range(3)) * exists[level]
        x = linear(conv.pointwise, x) * exists[level]
        return norm(conv.norm, x) * exists[level]

    def up(x):
        return F.interpolate(x, scale_factor=2, mode='nearest')

    def down(x):
        return F.avg_pool2d(x, 2)

    p = [
        norm(lateral[1], linear(lateral[0], x * e)) * e
        for lateral, x, e in zip(neck.laterals, maps, exists)
    ]
    for layer in neck.layers:
        t2 = fuse(layer.down[2], [p[2], up(p[3])], 2)
        t1 = fuse(layer.down[1], [p[1], up(t2)], 1)
        o0 = fuse(layer.down[0], [p[0], up(t1)], 0)
        o1 = fuse(layer.up[0], [p[1], t1, down(o0)], 1)
        o2 = fuse(layer.up[1], [p[2], t2, down(o1)], 2)
        o3 = fuse(layer.up[2], [p[3], down(o2)], 3)
        p = [o0, o1, o2, o3]
    return p


def compare(grid, exists, channels=(8, 12, 16, 20)):
    torch.manual_seed(0)
    neck = randomise(BiFPN(channels, 16, num_layers=2)).double()
    with torch.no_grad():
        neck.layers[0].down[1].weights[0] = -.3  # counts as zero
    tokens = [
        torch.randn(4, grid.levels[level].coords.shape[1], c).double()
        for level, c in enumerate(channels)
    ]
    maps = [grid.levels[level].to_map(x) for level, x in enumerate(tokens)]
    outs = neck(tokens, grid)
    expected = reference(neck, maps, exists)
    goals = [torch.randn_like(m) for m in expected]
    for level, (out, feature) in enumerate(zip(outs, expected)):
        assert (grid.levels[level].to_map(out) - feature).abs().max() <= 1e-9
    losses = [
        sum((grid.levels[level].to_map(x) * g).sum()
            for level, (x, g) in enumerate(zip(outs, goals))),
        sum((x * g).sum() for x, g in zip(expected, goals))
    ]
    grads = [torch.autograd.grad(loss, neck.parameters()) for loss in losses]
    for ours, theirs in zip(*grads):
        assert (ours - theirs).abs().max() <= 1e-9 * theirs.abs().max() + 1e-9


def pyramid(exists):
    """``(B, 1, H/4, W/4)`` bool and its coarser levels, as float64."""
    levels = [exists.double()]
    for _ in range(3):
        levels.append(F.max_pool2d(levels[-1], 2))
    return levels


def test_visible_units_equal_reference():
    visible = sample_visible((3, 4), .5, groups=2)
    exists = torch.zeros(2, 12, dtype=torch.bool).scatter_(1, visible, True)
    exists = exists.view(2, 1, 3, 4).repeat_interleave(8, 2)
    exists = exists.repeat_interleave(8, 3).repeat(2, 1, 1, 1)
    compare(TokenGrid((3, 4), visible), pyramid(exists))


def test_padded_batch_equals_reference():
    padding = torch.ones(4, 96, 64, dtype=torch.bool)
    exists = torch.zeros(4, 1, 24, 16, dtype=torch.bool)
    for b, (h, w) in enumerate([(96, 64), (1, 50), (41, 7), (64, 32)]):
        padding[b, :h, :w] = False
        exists[b, :, :-(-h // 4), :-(-w // 4)] = True
    compare(TokenGrid.padded(padding), pyramid(exists))


def test_whole_images_equal_reference():
    grid = TokenGrid.whole(64, 96, torch.device('cpu'))
    compare(grid, pyramid(torch.ones(4, 1, 16, 24)))
