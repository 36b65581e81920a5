"""Depth stays within its range at any image size."""
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.runner import load_state_dict

from glid_mm.errors import UserError
from glid_mm.models import GLIDOutput
from glid_mm.tasks.depth import DepthMetric
from ...nano import depth_estimator, over_fit, pretrainer
from .build import batch, estimator, predict, scenes


def relative_error(model, images, depths):
    """REL of :class:`DepthMetric`."""
    metric = DepthMetric(min_depth_eval=.5, max_depth_eval=20.)
    metric.process({}, [
        dict(pred_depth_map=dict(data=guess), gt_depth_map=dict(data=depth))
        for guess, depth in zip(predict(model, images), depths)
    ])
    return metric.evaluate(len(images))['abs_rel']


@pytest.mark.slow
def test_eight_images_are_over_fitted():
    torch.manual_seed(0)
    model = depth_estimator()
    # At a quarter of 64 px, no map can represent these images exactly; the
    # best one has an error of 0.024.
    images, depths = scenes(8, first=16)
    data = batch(model, images, depths)
    over_fit(
        model,
        lambda: sum(model(**data, mode='loss').values()),
        steps=110,
        lr=1e-3)
    assert relative_error(model, images, depths) <= .05


def test_depth_stays_within_the_range():
    torch.manual_seed(0)
    model = estimator(min_depth=2., max_depth=3.)
    for sign in (-1, 1):
        x = GLIDOutput(
            torch.randn(1, 96, 16, 16) * 1e4,
            sign * torch.randn(1, 1, 16, 192))
        depth = model.decode_head(x)
        assert 2 < depth.min() and depth.max() < 3


def test_new_weights_are_two_linear_layers():
    model = depth_estimator()
    assert {
        n: tuple(p.shape)
        for n, p in model.decode_head.named_parameters()
    } == {
        'bin_length.weight': (1, 192),
        'bin_length.bias': (1, ),
        'bin_embed.weight': (96, 192),
        'bin_embed.bias': (96, ),
    }
    source = pretrainer().state_dict()
    load_state_dict(model, source)
    loaded = model.state_dict()
    assert all(
        torch.equal(loaded[k], v) for k, v in source.items()
        if k.startswith('backbone.'))


def test_a_range_that_is_none_is_refused():
    for low, high in ((-1., 2.), (3., 3.), (4., 2.)):
        with pytest.raises(UserError, match='0 <= min_depth'):
            depth_estimator(min_depth=low, max_depth=high)


@pytest.mark.parametrize('size', [(64, 64), (50, 77), (1, 1)])
def test_whole_slide_and_flip_at_any_size(size):
    model = estimator()
    images = [torch.randint(0, 255, (3, *size))]
    whole, = predict(model, images)
    assert whole.shape == size
    model.test_cfg.update(mode='slide', crop_size=(80, 80), stride=(40, 40))
    # A single crop that covers the image gives the same result.
    slide, = predict(model, images)
    assert torch.allclose(whole, slide, atol=1e-4)
    model.test_cfg.update(crop_size=(32, 32), stride=(20, 20))
    slide, = predict(model, images)
    assert slide.shape == size
    if min(size) > 32:
        assert not torch.allclose(whole, slide)
    model.test_cfg = ConfigDict(mode='whole', flip=True)
    both, = predict(model, images)
    mirror, = predict(model, [images[0].flip(-1)])
    assert torch.allclose(both, mirror.flip(-1), atol=1e-4)
    model.test_cfg.flip = False
    mirror, = predict(model, [images[0].flip(-1)])
    assert torch.allclose(both, (whole + mirror.flip(-1)) / 2, atol=1e-4)


def test_padding_of_a_batch_changes_nothing_and_is_not_mirrored():
    model = estimator()
    image = torch.randint(0, 255, (3, 50, 60))
    alone, = predict(model, [image])
    model.data_preprocessor.test_cfg = dict(size=(96, 96))
    padded, = predict(model, [image])
    assert padded.shape == (50, 60)
    assert torch.allclose(alone, padded, atol=1e-4)
    assert alone.std() > .01
    model.test_cfg.flip = True
    with pytest.raises(UserError, match='test_cfg.flip.*wrong side'):
        predict(model, [image])


def test_bf16_is_near_fp32():
    model = estimator()
    data = batch(model, *scenes(2))
    full = model(**data, mode='loss')['decode.loss_silog']
    with torch.autocast('cpu', torch.bfloat16):
        half = model(**data, mode='loss')['decode.loss_silog']
    assert half.dtype == torch.float32
    assert abs(half - full) < .05 * full
