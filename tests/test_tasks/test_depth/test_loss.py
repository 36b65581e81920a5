"""Only known depth, in metres, is supervised."""
import math

import pytest
import torch

from glid_mm.engine import arrival
from glid_mm.errors import UserError
from glid_mm.tasks.depth import ScaleInvariantLogLoss
from .build import batch, estimator, scenes


def test_loss_is_that_of_a_loop_over_images_and_pixels():
    torch.manual_seed(0)
    guess, truth = torch.rand(2, 3, 4, 5).double() + .1
    valid = torch.rand(3, 4, 5) < .6
    valid[1] = False
    expected = []
    for image in (0, 2):
        pair = (x[image][valid[image]].tolist() for x in (guess, truth))
        g = [math.log(d) - math.log(t) for d, t in zip(*pair)]
        mean = sum(g) / len(g)
        square = sum(x * x for x in g) / len(g)
        expected.append(3 * math.sqrt(square - .5 * mean**2 + 1e-4))
    loss = ScaleInvariantLogLoss(lambd=.5, scale=3., eps=1e-4)
    assert loss(guess, truth, valid).item() == pytest.approx(sum(expected) / 2)
    # Invalid pixels may hold any value.
    truth[~valid] = math.nan
    guess[~valid] = -1
    assert loss(guess, truth, valid).item() == pytest.approx(sum(expected) / 2)


def test_lambda_one_forgives_a_common_factor():
    truth = torch.rand(2, 4, 4) + 1
    valid = torch.ones(2, 4, 4).bool()
    loss = ScaleInvariantLogLoss(lambd=1., eps=1e-12)
    assert loss(3 * truth, truth, valid) < 1e-3
    assert ScaleInvariantLogLoss(lambd=0.)(3 * truth, truth, valid) > 10


@pytest.mark.parametrize('known', [0, 1, 16])
def test_loss_and_gradient_are_finite_however_little_is_known(known):
    truth = torch.full((2, 4, 4), math.nan)
    valid = torch.zeros(2, 4, 4).bool()
    truth.view(2, -1)[0, :known] = 2.
    valid.view(2, -1)[0, :known] = True
    # The prediction is perfect where depth is known: the gradient of the root
    # must not explode.
    guess = torch.full((2, 4, 4), 2., requires_grad=True)
    loss = ScaleInvariantLogLoss()(guess, truth, valid)
    loss.backward()
    assert loss.isfinite() and guess.grad.isfinite().all()
    assert (guess.grad[~valid] == 0).all()
    if not known:
        assert loss == 0


def test_the_last_layer_is_supervised_and_others_on_request():
    images, depths = scenes(2)
    model = estimator(auxiliary_weight=.5)
    data = batch(model, images, depths)
    losses = model(**data, mode='loss')
    layers = ['decode', 'decode.d0', 'decode.d1', 'decode.d2']
    assert set(losses) == {f'{layer}.loss_silog' for layer in layers}
    model.decode_head.auxiliary_weight = 0.
    alone = model(**data, mode='loss')
    assert set(alone) == {'decode.loss_silog'}
    assert torch.equal(alone['decode.loss_silog'], losses['decode.loss_silog'])
    # An earlier layer's loss equals that of a model that ends there.
    x = model.extract_feat(data['inputs'])
    first = model.decode_head.loss(
        x._replace(query_features=x.query_features[:1]), data['data_samples'],
        None)['loss_silog']
    assert torch.allclose(.5 * first, losses['decode.d0.loss_silog'])


def test_padding_missing_and_far_depth_are_not_supervised():
    model = estimator()
    images, depths = scenes(2)
    images[1], depths[1] = images[1][:, :50, :40], depths[1][:50, :40]

    def loss(depths, pad):
        model.data_preprocessor.seg_pad_val = pad
        data = batch(model, images, depths)
        with torch.no_grad():
            return model(**data, mode='loss')['decode.loss_silog']

    known = [(d > 0) & (d < 6) for d in depths]
    expected = loss([d * k for d, k in zip(depths, known)], 0)
    # Zero, negative, NaN, infinite, too near and too far in turn.
    unknown = torch.tensor([0., -1., math.nan, math.inf, .1, 70.])
    given = [
        torch.where(k, d,
                    unknown.repeat(len(d[0]))[:len(d[0])])
        for d, k in zip(depths, known)
    ]
    assert torch.equal(loss(given, 5.), expected)


def test_images_without_any_depth_train():
    model = estimator()
    images, depths = scenes(2)
    losses = model(
        **batch(model, images, [d * 0 for d in depths]), mode='loss')
    losses['decode.loss_silog'].backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads and all(g.isfinite().all() for g in grads)


@pytest.mark.parametrize('factor', [1000, 1e-3])
def test_depth_in_another_unit_is_named(factor):
    model = estimator()
    images, depths = scenes(2)
    depths[1] = depths[1] * factor
    with pytest.raises(
            UserError,
            match=r'depth of 1\.png has a median of .* m, far from .*\(0\.5 '
            r'to 20 m\).*depth_rescale_factor'):
        model(**batch(model, images, depths), mode='loss')


def test_a_gpu_says_with_the_next_batch_that_the_unit_was_wrong(monkeypatch):
    monkeypatch.setattr(arrival, 'ASYNCHRONOUS', ('cpu', ))
    model = estimator()
    images, depths = scenes(2)
    wrong = [depths[0], depths[1] * 1000]
    model(**batch(model, images, depths), mode='loss')
    losses = model(**batch(model, images, wrong), mode='loss')
    assert losses['decode.loss_silog'].isfinite()
    with pytest.raises(UserError, match=r'depth of 1\.png has a median'):
        model(**batch(model, images, depths), mode='loss')
