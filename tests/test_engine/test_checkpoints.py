"""Checkpoints of a run: saving, replacing and finding them."""
import errno
import os
import shutil

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import METRICS

from glid_mm.errors import CheckpointError, NoSpaceError
from glid_mm.io.checkpoints import read_checkpoint
from .tiny import assert_same, make_runner, resumed, weights

VAL = dict(
    val_dataloader=dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='TinyDataset')),
    val_cfg=dict(),
    val_evaluator=dict(type='RisingMetric'))


@METRICS.register_module()
class RisingMetric(BaseMetric):
    score = 0

    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        RisingMetric.score += 1
        return dict(acc=RisingMetric.score, second=RisingMetric.score)


def names(folder):
    return sorted(path.name for path in folder.iterdir()
                  if path.suffix == '.pth' or path.name.startswith('.'))


def test_features_of_the_hook_keep_working(tmp_path):
    runner = make_runner(
        tmp_path,
        length=4,
        checkpoint=dict(
            max_keep_ckpts=2, save_best='acc', published_keys=['state_dict']),
        **VAL)
    runner.train()
    kept = names(tmp_path)
    published = [name for name in kept if '-' in name]
    assert [n for n in kept if n not in published
            ] == ['best_acc_epoch_4.pth', 'epoch_3.pth', 'epoch_4.pth']
    assert len(published) == 2
    assert read_checkpoint(tmp_path / published[0]).keys() == {'state_dict'}
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path /
                                                             'epoch_4.pth')


def test_old_checkpoint_goes_after_the_new_one_is_there(tmp_path, monkeypatch):
    seen = []
    replace = os.replace

    def spy(source, target):
        seen.append((os.path.basename(target), names(tmp_path)))
        replace(source, target)

    monkeypatch.setattr(os, 'replace', spy)
    make_runner(
        tmp_path,
        length=3,
        checkpoint=dict(max_keep_ckpts=1, save_best='acc'),
        **VAL).train()
    for target, there in seen:
        if target in ('epoch_2.pth', 'epoch_3.pth'):
            assert any(name.startswith('epoch_') for name in there)
        if target == 'best_acc_epoch_2.pth':
            assert 'best_acc_epoch_1.pth' in there
    # last_checkpoint changes once the new checkpoint exists, and before the
    # old one is deleted.
    noted = [there for target, there in seen if target == 'last_checkpoint']
    assert {'epoch_1.pth', 'epoch_2.pth'} <= set(noted[2])
    assert names(tmp_path) == ['best_acc_epoch_3.pth', 'epoch_3.pth']


def test_full_disk_stops_the_run_with_the_old_checkpoint_intact(
        tmp_path, monkeypatch):
    fsync = os.fsync
    files = []

    def full_at_the_second(handle):
        path = os.readlink(f'/proc/self/fd/{handle}')
        if 'epoch_2.pth' in path:
            files.append(path)
            raise OSError(errno.ENOSPC, 'No space left on device')
        fsync(handle)

    monkeypatch.setattr(os, 'fsync', full_at_the_second)
    runner = make_runner(tmp_path, checkpoint=dict(max_keep_ckpts=1))
    with pytest.raises(NoSpaceError, match=r'epoch_2\.pth: it needs .*MB'):
        runner.train()
    assert files
    assert names(tmp_path) == ['epoch_1.pth']
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_1.pth')
    monkeypatch.undo()
    resumed = make_runner(tmp_path, resume=True)
    resumed.train()
    whole = make_runner(tmp_path / 'whole')
    whole.train()
    assert_same(weights(whole), weights(resumed))


@pytest.mark.parametrize('damage', ['missing', 'truncated', 'no note'])
def test_damaged_last_checkpoint_is_named_and_the_one_before_taken(
        damage, tmp_path):
    make_runner(tmp_path, length=2).train()
    last = tmp_path / 'epoch_2.pth'
    if damage == 'missing':
        last.unlink()
    elif damage == 'truncated':
        os.truncate(last, last.stat().st_size // 2)
    else:
        (tmp_path / 'last_checkpoint').write_text('')
    runner = make_runner(tmp_path, length=2, resume=True)
    warnings = []
    runner.logger.warning = lambda text, *args: warnings.append(text)
    runner.train()
    told = [text for text in warnings if 'epoch_2.pth' in text]
    assert bool(told) == (damage != 'no note')
    assert runner.iter == 12


@pytest.mark.parametrize('noted', [True, False])
def test_nothing_intact_is_an_error_and_nothing_at_all_a_start(
        noted, tmp_path):
    runner = make_runner(tmp_path, length=1, resume=True)
    runner.train()
    (tmp_path / 'epoch_1.pth').write_bytes(b'x')
    if not noted:
        (tmp_path / 'last_checkpoint').unlink()
    with pytest.raises(CheckpointError, match='nothing to resume in'):
        make_runner(tmp_path, length=1, resume=True).train()


def test_resume_needs_a_checkpoint_of_a_training(tmp_path):
    torch.save(dict(state_dict={}), tmp_path / 'weights.pth')
    runner = make_runner(
        tmp_path, load_from=str(tmp_path / 'weights.pth'), resume=True)
    with pytest.raises(CheckpointError, match='weights.pth .*load_from'):
        runner.train()
    make_runner(tmp_path, length=1).train()
    whole = read_checkpoint(tmp_path / 'epoch_1.pth')
    # mmengine's best checkpoint lacks these.
    del whole['optimizer'], whole['param_schedulers']
    torch.save(whole, tmp_path / 'best_loss_epoch_1.pth')
    runner = make_runner(
        tmp_path,
        load_from=str(tmp_path / 'best_loss_epoch_1.pth'),
        resume=True)
    with pytest.raises(CheckpointError, match="has no 'optimizer'"):
        runner.train()


def test_load_from_refuses_programs_and_addresses(tmp_path):
    torch.save(dict(state_dict={}, meta=os.getcwd), tmp_path / 'a.pth')
    for path in (str(tmp_path / 'a.pth'), 'https://example.org/a.pth'):
        with pytest.raises(CheckpointError, match='refused|does not download'):
            make_runner(tmp_path, load_from=path).train()


def test_refusal_of_weights_by_a_module_is_not_swallowed(tmp_path):
    torch.save(dict(state_dict={}), tmp_path / 'a.pth')
    runner = make_runner(tmp_path, load_from=str(tmp_path / 'a.pth'))

    def refuse(*args):
        raise RuntimeError('of another architecture')

    runner.model.layers[0]._load_from_state_dict = refuse
    with pytest.raises(RuntimeError, match='of another architecture'):
        runner.train()


def test_a_run_with_averages_is_resumed_with_them(tmp_path):
    make_runner(tmp_path, ema=True, length=1).train()
    path = tmp_path / 'epoch_1.pth'
    with pytest.raises(CheckpointError, match='Add it: --cfg-options "cust'):
        make_runner(tmp_path, resume=True, load_from=str(path)).train()
    # Starting a new run from the averages needs no hook.
    make_runner(tmp_path / 'new', length=1, load_from=str(path)).train()


def test_a_copied_run_resumes_its_own_checkpoint(tmp_path):
    make_runner(tmp_path / 'run', length=1).train()
    shutil.copytree(tmp_path / 'run', tmp_path / 'copy')
    make_runner(tmp_path / 'run', length=2, resume=True).train()
    runner, _ = resumed(tmp_path / 'copy')
    assert runner.epoch == 1
    assert resumed(tmp_path / 'run')[0].epoch == 2


@pytest.mark.parametrize('metrics', ['acc', ['acc', 'second']])
def test_a_copied_run_replaces_its_own_best_checkpoint(metrics, tmp_path):
    options = dict(VAL, checkpoint=dict(save_best=metrics, rule='greater'))
    make_runner(tmp_path / 'run', length=1, **options).train()
    before = names(tmp_path / 'run')
    assert 'best_acc_epoch_1.pth' in before
    shutil.copytree(tmp_path / 'run', tmp_path / 'copy')
    make_runner(tmp_path / 'copy', length=2, resume=True, **options).train()
    assert names(tmp_path / 'run') == before
    best = [n for n in names(tmp_path / 'copy') if n.startswith('best_')]
    assert len(best) == sum(name.startswith('best_') for name in before)
    assert all(name.endswith('_epoch_2.pth') for name in best)


def test_averages_of_a_task_of_a_mixture_are_its_weights(tmp_path):
    weights = make_runner(tmp_path, seed=1).model.state_dict()
    mixture = {f'tasks.tiny.{name}': value for name, value in weights.items()}
    mixture['tasks.tiny.backbone.rows'] = torch.tensor([0, 1])
    torch.save(dict(state_dict=mixture, meta={}), tmp_path / 'mixture.pth')
    seen = {}

    class Look(Hook):
        priority = 'LOWEST'

        def before_test_iter(self, runner, **_):
            seen.update(runner.model.state_dict())

    runner = make_runner(
        tmp_path / 'run',
        ema=True,
        load_from=str(tmp_path / 'mixture.pth'),
        test_dataloader=VAL['val_dataloader'],
        test_cfg=dict(),
        test_evaluator=VAL['val_evaluator'])
    runner.register_hook(Look())
    runner.test()
    assert_same(dict(weights), seen)
