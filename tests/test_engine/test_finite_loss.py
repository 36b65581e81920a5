"""A loss that is no number stops a run before it harms."""
import pytest
import torch
from mmengine.structures import BaseDataElement

from glid_mm.engine import NonFiniteLossError
from glid_mm.engine.hooks.finite_loss_hook import (image_paths,
                                                   stop_unless_finite)
from .tiny import make_runner


@pytest.mark.parametrize('accumulate', [1, 2])
def test_weights_stay_and_images_are_named(accumulate, tmp_path):
    runner = make_runner(
        tmp_path,
        by_epoch=False,
        interval=1,
        dataset=dict(nan_at=7),
        optim_wrapper=dict(accumulative_counts=accumulate))
    with pytest.raises(NonFiniteLossError) as caught:
        runner.train()
    message = str(caught.value)
    assert f'iteration {runner.iter + 1}:' in message
    assert '\n  7.png' in message and message.count('.png') == 4
    assert 'loss=nan' in message and 'loss_parts=nan' in message
    assert runner.iter > 0
    saved = torch.load(
        tmp_path / f'iter_{runner.iter}.pth', weights_only=False)
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, saved['state_dict'][name])
        assert value.isfinite().all()


def test_terms_that_are_no_losses_may_be_anything():
    stop_unless_finite(
        dict(loss=torch.ones(2), acc=torch.tensor(float('nan'))), (), 0)
    stop_unless_finite(dict(acc=torch.tensor(float('inf'))), (), 0)


@pytest.mark.parametrize('value', [
    torch.tensor([1., float('inf')]),
    [torch.ones(()), torch.tensor(float('nan'))],
])
def test_every_form_of_loss_is_looked_at(value):
    with pytest.raises(NonFiniteLossError, match='loss_a=(nan|inf), loss_b=1'):
        stop_unless_finite(dict(loss_a=value, loss_b=torch.ones(())), (), 0)


def test_image_paths_of_nested_batches():

    def sample(name):
        return BaseDataElement(metainfo=dict(img_path=name))

    batch = (dict(
        inputs=torch.ones(2, 3),
        data_samples=dict(sup=[sample('a')],
                          unsup=(sample('b'), ))), [None], 'text')
    assert list(image_paths(batch)) == ['a', 'b']


def test_other_ranks_stop_too(monkeypatch):
    from glid_mm.engine.hooks import finite_loss_hook
    monkeypatch.setattr(finite_loss_hook, 'get_world_size', lambda: 2)
    monkeypatch.setattr(finite_loss_hook, 'all_reduce',
                        lambda stop, op: stop.fill_(1.))
    with pytest.raises(NonFiniteLossError, match='another process'):
        stop_unless_finite(dict(loss=torch.ones(())), (), 0)
