"""A non-finite loss stops a run before it damages the weights."""
import re

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.structures import BaseDataElement

from glid_mm.engine import NonFiniteLossError, arrival
from glid_mm.engine.hooks import finite_loss_hook
from glid_mm.engine.hooks.finite_loss_hook import LossCheck, image_paths
from .tiny import Stop, StopHook, make_runner


@pytest.fixture(params=[False, True], ids=['at once', 'one step late'])
def late(request, monkeypatch):
    """Whether the device works asynchronously."""
    if request.param:
        monkeypatch.setattr(arrival, 'ASYNCHRONOUS', ('cpu', ))
    return request.param


def state(runner):
    """Weights and optimizer state, which a bad batch must not change."""
    optimizer = runner.optim_wrapper.optimizer.state_dict()['state']
    return {
        **runner.model.state_dict(),
        **{
            (i, k): v
            for i, x in optimizer.items()
            for k, v in x.items()
        }
    }


def stopped(*args, **options):
    """A run that stops at sample 7, its message, and the bad iteration."""
    runner = make_runner(
        *args, by_epoch=False, dataset=dict(nan_at=7), **options)
    with pytest.raises(NonFiniteLossError) as caught:
        runner.train()
    message = str(caught.value)
    return runner, message, int(re.match('iteration ([0-9]+):', message)[1])


def assert_untouched(runner, iteration, work_dir, **options):
    """Compare with a run that stopped before the bad batch."""
    twin = make_runner(work_dir, by_epoch=False, **options)
    twin.register_hook(StopHook(iteration - 1))
    with pytest.raises(Stop):
        twin.train()
    found, expected = state(runner), state(twin)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
        assert value.isfinite().all()


@pytest.mark.parametrize('accumulate', [1, 2])
def test_weights_stay_and_images_are_named(accumulate, late, tmp_path):
    options = dict(
        interval=100, optim_wrapper=dict(accumulative_counts=accumulate))
    runner, message, iteration = stopped(tmp_path, **options)
    assert message.count('.png') == 4 and '\n  7.png' in message
    assert 'loss=nan' in message and 'loss_parts=nan' in message
    assert 2 < iteration == runner.iter + 1 - late
    assert_untouched(runner, iteration, tmp_path / 'twin', **options)


def test_nothing_is_saved_after_the_bad_batch(late, tmp_path):
    runner, _, iteration = stopped(tmp_path, interval=1)
    assert iteration == runner.iter + 1
    names = sorted(path.name for path in tmp_path.glob('iter_*.pth'))
    assert names == sorted(f'iter_{i}.pth' for i in range(1, iteration))
    last = (tmp_path / 'last_checkpoint').read_text()
    saved = torch.load(last, weights_only=False)['state_dict']
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, saved[name])


def test_the_last_batch_counts(late, tmp_path):
    _, _, iteration = stopped(tmp_path / 'first', interval=100)
    options = dict(
        interval=100, length=iteration, checkpoint=dict(save_last=False))
    runner, _, again = stopped(tmp_path / 'last', **options)
    assert again == iteration
    assert_untouched(runner, iteration, tmp_path / 'twin', **options)


def test_an_epoch_ends_before_it_is_evaluated(late, tmp_path):
    order = make_runner(tmp_path / 'order').train_loop.dataloader
    sample = int(list(order.batch_sampler)[-1][-1])
    runner = make_runner(
        tmp_path / 'run', interval=100, dataset=dict(nan_at=sample))
    with pytest.raises(NonFiniteLossError, match=f'{sample}.png'):
        runner.train()
    assert runner.epoch == 0


def test_the_device_is_asked_one_iteration_later(monkeypatch, tmp_path):
    monkeypatch.setattr(arrival, 'ASYNCHRONOUS', ('cpu', ))
    runner = make_runner(tmp_path, by_epoch=False, interval=100, length=4)
    asked = []

    def ask(check):
        asked.append((check.iteration, runner.iter))

    monkeypatch.setattr(LossCheck, 'stop_unless_finite', ask)
    runner.train()
    assert asked == [(0, 1), (1, 2), (2, 3), (3, 3)]
    assert not hasattr(runner.optim_wrapper.optimizer, 'found_inf')


def test_an_optimizer_that_skips_nothing_is_not_stepped(monkeypatch, tmp_path):
    monkeypatch.setattr(arrival, 'ASYNCHRONOUS', ('cpu', ))
    options = dict(
        interval=100, optim_wrapper=dict(optimizer=dict(type='SGD', lr=.05)))
    runner, _, iteration = stopped(tmp_path, **options)
    assert iteration == runner.iter + 1
    assert_untouched(runner, iteration, tmp_path / 'twin', **options)


@OPTIM_WRAPPERS.register_module()
class ScaledOptimWrapper(OptimWrapper):
    """mmengine's ``AmpOptimWrapper`` on a CPU, overflowing in step 2."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.scaler = torch.amp.GradScaler('cpu', init_scale=2.)

    def backward(self, loss):
        super().backward(self.scaler.scale(loss))

    def step(self):
        if self.inner_count == 2:
            for group in self.optimizer.param_groups:
                group['params'][0].grad.fill_(float('inf'))
        self.scaler.step(self.optimizer)
        self.scaler.update()


def test_a_scaler_skips_steps_as_well(monkeypatch, tmp_path):
    monkeypatch.setattr(arrival, 'ASYNCHRONOUS', ('cpu', ))
    runner = make_runner(
        tmp_path,
        by_epoch=False,
        length=3,
        optim_wrapper=dict(type='ScaledOptimWrapper'))
    runner.train()
    optimizer = runner.optim_wrapper.optimizer
    assert {float(x['step']) for x in optimizer.state.values()} == {2.}
    assert all(v.isfinite().all() for v in state(runner).values())
    assert not hasattr(optimizer, 'found_inf')


def stop_unless_finite(losses):
    LossCheck(losses, (), 0).stop_unless_finite()


def test_terms_that_are_no_losses_may_be_anything():
    stop_unless_finite(
        dict(loss=torch.ones(2), acc=torch.tensor(float('nan'))))
    stop_unless_finite(dict(acc=torch.tensor(float('inf'))))


@pytest.mark.parametrize('value', [
    torch.tensor([1., float('inf')]),
    [torch.ones(()), torch.tensor(float('nan'))],
])
def test_every_form_of_loss_is_looked_at(value):
    with pytest.raises(NonFiniteLossError, match='loss_a=(nan|inf), loss_b=1'):
        stop_unless_finite(dict(loss_a=value, loss_b=torch.ones(())))


def test_image_paths_of_nested_batches():

    def sample(name):
        return BaseDataElement(metainfo=dict(img_path=name))

    batch = (dict(
        inputs=torch.ones(2, 3),
        data_samples=dict(sup=[sample('a')],
                          unsup=(sample('b'), ))), [None], 'text')
    assert list(image_paths(batch)) == ['a', 'b']


def test_other_ranks_stop_too(monkeypatch):
    monkeypatch.setattr(finite_loss_hook, 'get_world_size', lambda: 2)
    monkeypatch.setattr(finite_loss_hook, 'all_reduce',
                        lambda stop, op: stop.fill_(1.))
    with pytest.raises(NonFiniteLossError, match='another process'):
        stop_unless_finite(dict(loss=torch.ones(())))
