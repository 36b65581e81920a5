"""Resuming runs that were interrupted, changed or finished."""
import pytest

from glid_mm.engine.hooks import checkpoint_hook
from glid_mm.errors import CheckpointError, UserError
from .test_checkpoints import VAL, RisingMetric, names
from .test_trajectory import KINDS, train, train_and_stop
from .tiny import (TinyDataset, assert_same, make_runner, resumed, said_by,
                   weights)

EACH = dict(minutes=1e-9)


@pytest.mark.parametrize('kind', ['epochs', 'iterations', 'within an epoch'])
def test_gradients_that_were_being_accumulated_are_resumed(kind, tmp_path):
    # Checkpoints follow after 6 or 8 iterations, steps after 4 or 5.
    options = dict(
        KINDS[kind],
        optim_wrapper=dict(accumulative_counts=4 if kind == 'epochs' else 5))
    whole = train(tmp_path / 'whole', **options)
    train_and_stop(tmp_path / 'cut', 9, **options)
    runner, said = resumed(tmp_path / 'cut', **options)
    assert not said
    assert any(p.grad is not None for p in runner.model.parameters())
    assert_same(whole, train(tmp_path / 'cut', resume=True, **options))


def test_gradients_of_another_accumulation_are_said_to_be_lost(tmp_path):
    train_and_stop(tmp_path, 7, optim_wrapper=dict(accumulative_counts=4))
    runner, said = resumed(tmp_path, optim_wrapper=dict(accumulative_counts=3))
    assert [
        text for text in said if 'iterations accumulated from 4 to 3' in text
    ]
    assert [text for text in said if 'are lost' in text]
    assert all(p.grad is None for p in runner.model.parameters())


def test_gradients_of_an_epoch_that_starts_anew_are_lost(tmp_path):
    options = dict(
        save_by_epoch=False,
        interval=3,
        optim_wrapper=dict(accumulative_counts=4))
    train_and_stop(tmp_path, 3, **options)
    runner, said = resumed(tmp_path, batch_size=7, **options)
    assert runner.iter == 0
    assert [text for text in said if 'up to iteration 3 are lost' in text]
    assert all(p.grad is None for p in runner.model.parameters())


def test_other_groups_of_weights_are_named(tmp_path):
    train_and_stop(tmp_path, 9)
    groups = dict(paramwise_cfg=dict(custom_keys={'layers': dict(lr_mult=.1)}))
    runner = make_runner(
        tmp_path,
        resume=True,
        load_from=str(tmp_path / 'epoch_1.pth'),
        optim_wrapper=groups)
    with pytest.raises(CheckpointError, match='in the same groups.*, or, to'):
        runner.train()


@pytest.mark.parametrize('kind,after', [('epochs', 9), ('epochs', 12),
                                        ('iterations', 9)])
def test_a_run_is_resumed_from_where_time_had_it_saved(kind, after, tmp_path):
    options = dict(
        KINDS[kind], ema=True, checkpoint=dict(EACH, max_keep_ckpts=1))
    whole = train(tmp_path / 'whole', **KINDS[kind], ema=True)
    train_and_stop(tmp_path / 'cut', after, **options)
    kept = ['epoch_1.pth'] if kind == 'epochs' else ['iter_8.pth']
    assert names(tmp_path / 'cut') == kept + ['recent.pth'] * (after != 8)
    TinyDataset.reads = 0
    runner = make_runner(tmp_path / 'cut', resume=True, **options)
    runner.train()
    assert_same(whole, weights(runner))
    # Only samples after the checkpoint are read, even within an epoch.
    total = 60 if kind == 'iterations' else 63
    assert TinyDataset.reads <= total - 4 * (after - 1) + 3
    # The next regular checkpoint replaced it.
    assert names(tmp_path / 'cut') == [
        'epoch_3.pth' if kind == 'epochs' else 'iter_15.pth'
    ]


def test_checkpoints_are_at_most_the_minutes_apart(tmp_path, monkeypatch):
    clock = [0.]
    monkeypatch.setattr(checkpoint_hook.time, 'monotonic', lambda: clock[0])
    runner = make_runner(tmp_path, by_epoch=False, interval=6)
    seen = []
    save = runner.save_checkpoint

    def spy(folder, name, *args, **kwargs):
        seen.append((name, kwargs['meta']['iter']))
        save(folder, name, *args, **kwargs)

    def tick(*args, **kwargs):
        clock[0] += 5 * 60
        return step(*args, **kwargs)

    step, runner.model.train_step = runner.model.train_step, tick
    runner.save_checkpoint = spy
    runner.train()
    # Minutes count from the last checkpoint of either kind.
    assert seen == [('recent.pth', 3), ('iter_6.pth', 6), ('recent.pth', 9),
                    ('iter_12.pth', 12), ('iter_15.pth', 15)]


def test_minutes_have_to_be_above_zero(tmp_path):
    with pytest.raises(UserError, match='checkpoint.minutes is 0.*None'):
        make_runner(tmp_path, checkpoint=dict(minutes=0))


@pytest.mark.parametrize('kind', KINDS)
def test_a_finished_run_says_so(kind, tmp_path):
    options = dict(KINDS[kind], **VAL)
    whole = train(tmp_path, **options)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob('*.pth')}
    RisingMetric.score = 0
    runner = make_runner(tmp_path, resume=True, **options)
    said, warned = said_by(runner, 'info'), said_by(runner)
    runner.train()
    total = runner.max_iters
    assert [text for text in said if text.startswith('the run is')] == [
        f'the run is finished ({total} of {total} iterations): nothing to '
        'train. To train longer, start a new run with its weights'
    ]
    assert not warned and RisingMetric.score == 0
    assert_same(whole, weights(runner))
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.glob('*.pth')}


def cosine(epochs, by_epoch=True):
    length = epochs if by_epoch else 6 * epochs
    return [
        dict(type='LinearLR', by_epoch=False, end=4),
        dict(
            type='CosineAnnealingLR',
            by_epoch=by_epoch,
            convert_to_iter_based=by_epoch,
            begin=1 if by_epoch else 4,
            T_max=length - (1 if by_epoch else 4),
            end=length),
        dict(type='MultiStepLR', milestones=[2, 4], by_epoch=by_epoch),
    ]


@pytest.mark.parametrize('kind,stop', [('epochs', None), ('epochs', 8),
                                       ('iterations', None)])
def test_a_longer_schedule_goes_on_with_its_own_rates(kind, stop, tmp_path):
    """Resumed after the end of the shorter schedule, and within it."""
    by_epoch = KINDS[kind].get('by_epoch', True)

    def options(epochs):
        return dict(
            KINDS[kind],
            length=epochs if by_epoch else 6 * epochs,
            schedulers=cosine(epochs, by_epoch),
            hooks=[dict(type='RateHook')])

    def rates_of(runner):
        return next(h.rates for h in runner.hooks if hasattr(h, 'rates'))

    long = make_runner(tmp_path / 'long', **options(5))
    long.train()
    short = options(2)
    if stop:
        short['hooks'].append(dict(type='StopHook', after=stop))
        with pytest.raises(Exception, match='^$'):
            make_runner(tmp_path / 'short', **short).train()
    else:
        make_runner(tmp_path / 'short', **short).train()
    runner, said = resumed(tmp_path / 'short', **options(5))
    text, = said
    assert 'the schedule has changed: iterations from 12 to 30' in text
    done = runner.iter
    rate = rates_of(long)[done][1][0]
    place = f'iteration {done + 1} of 30'
    assert f'{place}: its learning rate is {rate:.4g}, ' in text
    runner.train()
    assert rates_of(runner) == rates_of(long)[done:]
    assert done == (6 if stop else 12) and len(rates_of(runner)) == 30 - done


def test_a_run_longer_than_its_schedule_is_refused(tmp_path):
    options = dict(schedulers=cosine(3)[:2], batch_size=2)
    train(tmp_path, length=3, **options)
    with pytest.raises(UserError, match='ended by iteration 33: .*T_max'):
        resumed(tmp_path, length=5, **options)


def test_settings_of_the_optimizer_are_the_config_s(tmp_path):
    train_and_stop(tmp_path, 8)
    new = dict(type='AdamW', lr=.03, weight_decay=.2)
    runner, said = resumed(tmp_path, optim_wrapper=dict(optimizer=new))
    text, = said
    for change in ('lr from 0.05 to 0.03', 'weight_decay from 0.1 to 0.2'):
        assert change in text
    group, = runner.optim_wrapper.param_groups
    assert (group['lr'], group['weight_decay']) == (.03, .2)
    whole = make_runner(
        tmp_path / 'new',
        length=1,
        optim_wrapper=dict(optimizer=dict(new, weight_decay=.1)))
    whole.train()
    assert whole.optim_wrapper.get_lr()['lr'] == [group['lr']]


@pytest.mark.parametrize('kind', ['epochs', 'iterations'])
def test_a_run_resumed_with_another_batch_says_so(kind, tmp_path):
    """An epoch-based run also restarts its epoch."""
    train_and_stop(tmp_path, 8, **KINDS[kind])
    runner, said = resumed(tmp_path, batch_size=7, **KINDS[kind])
    text, = (text for text in said if 'joint batch' in text)
    assert 'samples in a joint batch from 4 to 7' in text
    if kind == 'epochs':
        assert any('The epoch starts over' in text for text in said)
        # One of three epochs is done, and an epoch now has three batches.
        assert runner.iter == 3
        TinyDataset.reads = 0
        runner.train()
        assert (runner.iter, TinyDataset.reads) == (9, 42)


def test_a_run_resumed_as_it_was_warns_of_nothing(tmp_path):
    train_and_stop(tmp_path, 8)
    runner, said = resumed(tmp_path)
    assert runner.iter > 0
    assert not said


def test_the_end_of_an_epoch_is_not_lost(tmp_path):
    """A checkpoint may lie between an epoch's last iteration and its end."""
    options = dict(save_by_epoch=False, interval=6, length=4)
    whole = train(tmp_path / 'whole', **options)
    train_and_stop(tmp_path / 'cut', 13, **options)
    assert_same(whole, train(tmp_path / 'cut', resume=True, **options))


def test_an_epoch_that_is_entered_within_is_counted_from_its_start(tmp_path):
    train_and_stop(tmp_path, 9, save_by_epoch=False)
    runner = make_runner(tmp_path, resume=True, save_by_epoch=False)
    places = []
    run_hooks = runner.call_hook

    def spy(name, **kwargs):
        if name == 'after_train_iter':
            places.append(kwargs['batch_idx'])
        run_hooks(name, **kwargs)

    runner.call_hook = spy
    runner.train()
    assert places == [2, 3, 4, 5] + [0, 1, 2, 3, 4, 5]
