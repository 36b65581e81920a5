import pickle

import pytest
import torch

from glid_mm.engine import shared_generator
from glid_mm.models import masked_units, sample_visible
from glid_mm.models.layers.tokens import pick_units
from glid_mm.tasks.pretraining import PixelHead
from glid_mm.tasks.pretraining.plan_ahead import PlanAhead
from ..nano import over_fit, pretrainer, scenes


def standardised(count=8, size=64):
    images, _ = scenes(count, size)
    return (images - 127.5) / 64


@pytest.mark.slow
def test_eight_images_are_over_fitted_under_changing_masks():
    torch.manual_seed(0)
    model, images = pretrainer(), standardised()
    losses = over_fit(
        model,
        lambda: model.loss(images, None)['loss'],
        steps=350,
        lr=2e-3,
        betas=(.9, .95))
    assert losses[0] > .5
    assert sum(losses[-10:]) / 10 < .1 * losses[0]


def test_loss_is_the_mean_square_over_masked_pixels():
    torch.manual_seed(0)
    head = PixelHead(in_channels=4)
    queries, units = torch.randn(2, 5, 4), torch.randn(2, 5, 3, 32, 32)
    expected = 0
    for b in range(2):
        for n in range(5):
            pixels = head.pixels.weight @ queries[b, n] + head.pixels.bias
            expected += ((pixels - units[b, n].flatten())**2).sum()
    expected = expected / (2 * 5 * 3 * 32 * 32)
    assert torch.isclose(head.loss(queries, units)['loss'], expected)


def test_norm_pix_standardises_each_target_and_is_undone_in_pictures():
    torch.manual_seed(0)
    units = torch.randn(2, 5, 3, 32, 32) * 3 + 7
    head = PixelHead(in_channels=4, norm_pix=True)
    queries = torch.randn(2, 5, 4)
    target = torch.stack([(u - u.mean()) / (u.var() + 1e-6).sqrt()
                          for u in units.flatten(0, 1)]).view_as(units)
    loss = head.loss(queries, units)['loss']
    assert torch.isclose(loss, ((head(queries) - target)**2).mean())
    shown = head.predict(queries, units)
    assert torch.allclose(shown.mean(), units.mean(), atol=.5)


def test_reconstruction_keeps_what_is_visible():
    torch.manual_seed(0)
    model, images = pretrainer(images_per_mask=1), standardised(2)
    torch.manual_seed(1)
    visible = sample_visible((2, 2), .75, groups=2)
    torch.manual_seed(1)
    pictures = model.reconstruct(images)
    assert torch.equal(
        pick_units(pictures.reconstructed, visible),
        pick_units(images, visible))
    assert torch.equal(
        pick_units(pictures.masked, visible), pick_units(images, visible))
    masked = masked_units(visible, 4)
    assert (pick_units(pictures.masked, masked) == 0).all()
    assert not torch.equal(
        pick_units(pictures.reconstructed, masked), pick_units(images, masked))


@pytest.mark.parametrize('batch,images_per_mask', [(8, 4), (7, 4), (6, 1)])
def test_any_batch_size_works(batch, images_per_mask):
    model = pretrainer(images_per_mask=images_per_mask)
    assert model.loss(standardised(batch), None)['loss'].isfinite()


@pytest.mark.parametrize('world_size', [2, 3])
@pytest.mark.parametrize('batch,images_per_mask', [(4, 2), (2, 4), (3, 4),
                                                   (6, 4), (5, 1)])
def test_processes_mask_as_one_does(batch, images_per_mask, world_size,
                                    monkeypatch):
    model = pretrainer(images_per_mask=images_per_mask)

    def masks(images, *process):
        """Masked units of each image."""
        monkeypatch.setattr(
            'glid_mm.tasks.pretraining.pretrainer.'
            'get_dist_info', lambda: process)
        generator = torch.Generator().manual_seed(3)
        masked = model.plan((4, 4), images, generator).masked
        return masked.repeat(images // len(masked), 1)

    joint = masks(batch * world_size, 0, 1)
    for rank in range(world_size):
        assert torch.equal(
            masks(batch, rank, world_size), joint[rank::world_size])


@pytest.mark.parametrize('ratio', [0, 1, -.5, 1.5])
def test_impossible_ratio_is_refused_when_the_model_is_built(ratio):
    with pytest.raises(ValueError, match='strictly between 0 and 1'):
        pretrainer(mask_ratio=ratio)


def test_unknown_strategy_is_refused_when_the_model_is_built():
    with pytest.raises(ValueError, match="'stripes'.*random, block, grid"):
        pretrainer(mask_strategy='stripes')


def test_images_of_broken_units_are_named():
    with pytest.raises(ValueError, match='multiples of 32, got 64×72'):
        pretrainer().loss(torch.zeros(2, 3, 64, 72), None)


def test_dense_features_for_mmpretrains_tools():
    model = pretrainer().eval()
    features = model(torch.zeros(1, 3, 64, 100), mode='tensor')
    assert [tuple(f.shape)
            for f in features] == [(1, 32, 16, 25), (1, 64, 8, 13),
                                   (1, 128, 4, 7), (1, 256, 2, 4)]


def test_plans_made_ahead_in_a_thread_equal_those_made_in_place():
    """The same holds after a resume, when no plan was made ahead."""
    from mmengine.logging import MessageHub
    model = pretrainer(images_per_mask=2)
    hub = MessageHub.get_instance('plans')
    hub.update_info_dict(dict(loop_stage='train', seed=3, iter=0))
    device, args = torch.device('cpu'), ((3, 4), 6)
    ahead = PlanAhead()
    for iteration in (0, 1, 2, 7):
        hub.update_info('iter', iteration)
        plan = ahead(model.plan, args, device)
        expected = model.plan(*args, shared_generator())
        made, wanted = [], []
        plan.apply(made.append), expected.apply(wanted.append)
        assert len(made) == len(wanted) > 20
        assert all(map(torch.equal, made, wanted))
        assert ahead._next[0][1] == iteration + 1
    assert pickle.loads(pickle.dumps(ahead))._next is None
