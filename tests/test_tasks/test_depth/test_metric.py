"""Depth metrics follow their definitions."""
import numpy as np
import pytest
import torch

from glid_mm.errors import UserError
from glid_mm.tasks.depth import DepthMetric


def evaluate(guess, truth, **kwargs):
    metric = DepthMetric(**kwargs)
    metric.process({}, [
        dict(
            pred_depth_map=dict(data=torch.from_numpy(g)),
            gt_depth_map=dict(data=torch.from_numpy(t)))
        for g, t in zip(guess, truth)
    ])
    return metric.evaluate(len(guess))


@pytest.mark.parametrize('crop,size,inside', [
    (None, (40, 60), (slice(None), slice(None))),
    ('nyu_crop', (480, 640), (slice(45, 471), slice(41, 601))),
    ('garg_crop', (375, 1242), (slice(153, 371), slice(44, 1197))),
])
def test_metrics_are_their_definitions_inside_the_crop(crop, size, inside):
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 12, (2, *size))
    guess = rng.uniform(.5, 10, (2, *size))
    found = evaluate(
        guess,
        truth,
        crop_type=crop,
        min_depth_eval=1.,
        max_depth_eval=10.,
        depth_metrics=['abs_rel', 'rmse', 'log10', 'd1', 'd2', 'd3'])
    expected = {name: 0. for name in found}
    for g, t in zip(guess, truth):
        g, t = g[inside], t[inside]
        g, t = (x[(t > 1) & (t < 10)] for x in (g, t))
        ratio = np.maximum(g / t, t / g)
        values = dict(
            abs_rel=np.mean(np.abs(g - t) / t),
            rmse=np.mean((g - t)**2)**.5,
            log10=np.mean(np.abs(np.log10(g / t))),
            d1=np.mean(ratio < 1.25),
            d2=np.mean(ratio < 1.25**2),
            d3=np.mean(ratio < 1.25**3))
        for name, value in values.items():
            expected[name] += value / 2
    assert found == pytest.approx(expected, rel=1e-4)


def test_images_without_depth_do_not_count():
    truth = [np.full((4, 4), 2.), np.zeros((4, 4))]
    guess = [np.full((4, 4), 3.), np.full((4, 4), 5.)]
    assert evaluate(guess, truth)['rmse'] == pytest.approx(1.)
    with pytest.raises(UserError, match='none of 2 images.*0.1 and 1 m'):
        evaluate(guess, truth, min_depth_eval=.1, max_depth_eval=1.)


def test_metrics_and_crops_that_do_not_exist_or_fit_are_named():
    with pytest.raises(UserError, match="'rms'.*rmse"):
        DepthMetric(depth_metrics=['rms'])
    with pytest.raises(UserError, match='eigen.*nyu_crop'):
        DepthMetric(crop_type='eigen')
    with pytest.raises(UserError, match='480×640.*one is 4×5'):
        evaluate([np.ones((4, 5))], [np.ones((4, 5))], crop_type='nyu_crop')
