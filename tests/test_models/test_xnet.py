"""×Net: the classifier's input, and which weights learn."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from glid_mm.models import XNet
from glid_mm.models.xnet import MIXINGS, ORDERS

WIDTHS = 6, 8, 10, 12


class Classifier(nn.Module):
    """Four maps at 1/4, 1/8, 1/16 and 1/32."""

    def __init__(self):
        super().__init__()
        steps = zip((3, *WIDTHS), WIDTHS, (4, 2, 2, 2))
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, s, s), nn.GELU())
            for a, b, s in steps)

    def stage(self, index, x):
        return self.stages[index](x)

    def forward(self, x):
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def build(**kwargs):
    torch.manual_seed(0)
    model = XNet(Classifier(), Classifier(), WIDTHS[-1], WIDTHS, 16, **kwargs)
    return model.double()


def images(height, width, count=2):
    return torch.randn(count, 3, height, width).double()


@pytest.mark.parametrize('mixing', ['sum', 'concat', 'gate'])
@torch.no_grad()
def test_without_reshape_the_classifier_sees_the_image(mixing):
    model = build(mixing=mixing)
    for weight in model.reshapes[0].proj.parameters():
        weight.zero_()
    x = images(64, 96)
    maps = model.decode(x, model.encoder(x)[-1])
    for one, other in zip(maps, model.classifier(x), strict=True):
        assert torch.equal(one, other)


@torch.no_grad()
def test_without_mixing_it_does_not():
    model = build(mixing='none')
    x = images(64, 64)
    code = model.encoder(x)[-1]
    for one, other in zip(
            model.decode(x, code), model.decode(-x, code), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize('mixing', MIXINGS)
@pytest.mark.parametrize('order', ORDERS)
def test_everything_learns_in_the_first_step(mixing, order):
    model = build(mixing=mixing, order=order)
    model(images(64, 64)).square().mean().backward()
    assert not [
        name for name, weight in model.named_parameters()
        if weight.grad is None or not weight.grad.any()
    ]


@pytest.mark.parametrize('order', ORDERS)
@pytest.mark.parametrize('size', [(32, 32), (33, 64), (70, 100), (127, 90)])
@torch.no_grad()
def test_any_height_and_width(order, size):
    model, x = build(order=order), images(*size)
    y = model(x)
    height, width = size
    assert y.shape == (2, 16, -(-height // 4), -(-width // 4))
    # Padding is zeros on the right and at the bottom.
    whole = F.pad(x, (0, -width % 32, 0, -height % 32))
    assert torch.equal(y, model(whole)[..., :y.shape[2], :y.shape[3]])


@torch.no_grad()
def test_reshape_puts_channels_where_they_belong():
    model = build()
    reshape = model.reshapes[0]
    x = model.encoder(images(64, 96))[-1]
    y = reshape(x)
    assert y.shape == (2, 3, 64, 96)
    normed = F.layer_norm(
        x.movedim(1, -1), WIDTHS[-1:], reshape.norm.weight, reshape.norm.bias)
    proj = reshape.proj.weight[..., 0, 0]
    blocks = (normed @ proj.T).unflatten(-1, (3, 32, 32))
    for row, col in ((0, 0), (1, 2)):
        block = y[:, :, 32 * row:32 * row + 32, 32 * col:32 * col + 32]
        assert torch.allclose(block, blocks[:, row, col])


@torch.no_grad()
def test_the_start_is_small_beside_the_image():
    model, x = build(), images(256, 256, 8)
    made = model.reshapes[0](model.encoder(x)[-1])
    assert .05 < made.std() < .2


@torch.no_grad()
def test_the_reversed_order_runs_the_last_stage_first():
    model, x = build(order='reversed'), images(64, 64)
    seen = []
    for i, stage in enumerate(model.classifier.stages):
        stage.register_forward_pre_hook(lambda _, args, i=i: seen.append(
            (i, tuple(args[0].shape[1:]))))
    maps = model.decode(x, model.encoder(x)[-1])
    # Each stage gets the channels and size of its own input.
    assert seen == [(3, (10, 4, 4)), (2, (8, 8, 8)), (1, (6, 16, 16)),
                    (0, (3, 64, 64))]
    assert [m.shape[1] for m in maps] == list(WIDTHS)


def test_unknown_settings_are_refused():
    with pytest.raises(ValueError, match="mixing='product'"):
        build(mixing='product')
    with pytest.raises(ValueError, match="order='backward'"):
        build(order='backward')
