"""The command-line tools for training and testing."""
import errno
import inspect
import json
import os
import pickle
import runpy
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch.distributed.elastic.multiprocessing.errors import (ChildFailedError,
                                                              ProcessFailure)

from glid_mm.engine import Runner, launch
from glid_mm.engine.launch import show_predictions
from glid_mm.errors import UserError
from glid_mm.io.checkpoints import read_checkpoint
from glid_mm.scenes import write_scenes

ROOT = Path(__file__).parents[2]
PRETRAIN = ROOT / 'configs/pretrain/glid_nano_1xb32-coslr-30e_scenes-128px.py'
POSE = ROOT / 'configs/pose/glid_nano_1xb16-16k_scenes-128x96.py'

TINY = """
_base_ = ['{root}/configs/_base_/default_runtime.py']
custom_imports = dict(imports=['tests.test_engine.tiny'])
model = dict(type='TinyModel')
train_dataloader = dict(
    batch_size=7,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='TinyDataset'))
train_cfg = dict(by_epoch=True, max_epochs=2)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.07))
auto_scale_lr = dict(base_batch_size=70)
test_dataloader = dict(
    batch_size=7,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='TinyDataset'))
test_cfg = dict()
test_evaluator = dict(type='DumpResults', out_file_path='{root}/unused.pkl')
"""


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / 'tiny.py'
    path.write_text(
        TINY.format(root=ROOT).replace(f'{ROOT}/unused.pkl',
                                       str(tmp_path / 'metric.pkl')))
    return path


@pytest.fixture(autouse=True)
def _own_scope(monkeypatch):
    """Restore the default scope, which a tool sets for its process."""
    monkeypatch.setattr(DefaultScope, '_instance_dict',
                        DefaultScope._instance_dict.copy())


def run(monkeypatch, tool, *args):
    monkeypatch.setattr(sys, 'argv', [tool, *map(str, args)])
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')


def told(monkeypatch, tool, *args):
    """The error message of a tool that stops at once."""
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, tool, *args)
    assert isinstance(caught.value.code, str)
    assert '\n  File' not in caught.value.code
    return caught.value.code


def test_train_resume_and_test(tiny, tmp_path, monkeypatch):
    work_dir = tmp_path / 'run'
    run(monkeypatch, 'train.py', tiny, '--work-dir', work_dir, '--seed', 5,
        '--auto-scale-lr', '--cfg-options', 'train_cfg.max_epochs=1')
    first = read_checkpoint(work_dir / 'epoch_1.pth')
    assert first['meta']['seed'] == 5
    group, = first['optimizer']['param_groups']
    assert group['lr'] == pytest.approx(.007)
    run(monkeypatch, 'train.py', tiny, '--work-dir', work_dir, '--seed', 5,
        '--auto-scale-lr', '--resume')
    assert read_checkpoint(work_dir / 'epoch_2.pth')['meta']['iter'] == 6
    # Resuming from a named checkpoint gives the same second epoch.
    again = tmp_path / 'again'
    run(monkeypatch, 'train.py', tiny, '--work-dir', again, '--seed', 5,
        '--auto-scale-lr', '--resume', work_dir / 'epoch_1.pth')
    one, two = (
        read_checkpoint(folder / 'epoch_2.pth')['state_dict']
        for folder in (work_dir, again))
    assert all(torch.equal(one[k], two[k]) for k in one)

    # Without a checkpoint, --resume still starts from load_from.
    started = tmp_path / 'started'
    run(monkeypatch, 'train.py', tiny, '--work-dir', started, '--resume',
        '--cfg-options', 'train_cfg.max_epochs=1',
        'optim_wrapper.optimizer.lr=0.',
        f'load_from={work_dir / "epoch_2.pth"}')
    weights = read_checkpoint(started / 'epoch_1.pth')['state_dict']
    assert all(torch.equal(one[k], weights[k]) for k in one)

    out = tmp_path / 'predictions.pkl'
    run(monkeypatch, 'test.py', tiny, work_dir / 'epoch_2.pth', '--work-dir',
        tmp_path / 'test', '--out', out)
    assert len(pickle.loads(out.read_bytes())) == 21


@pytest.mark.parametrize('given,option,trained_with', [
    (None, [], 'OptimWrapper'),
    (None, ['--amp'], 'BF16OptimWrapper'),
    ('OptimWrapper', ['--amp'], 'BF16OptimWrapper'),
    ('glid_mm.BF16OptimWrapper', [], 'BF16OptimWrapper'),
    ('glid_mm.BF16OptimWrapper', ['--no-amp'], 'OptimWrapper'),
])
def test_precision_is_as_told(given, option, trained_with, tiny, tmp_path,
                              monkeypatch):
    runners = []
    monkeypatch.setattr(Runner, 'train', lambda self: runners.append(self))
    type_ = [f'optim_wrapper.type={given}'] if given else []
    run(monkeypatch, 'train.py', tiny, '--work-dir', tmp_path / 'run', *option,
        '--cfg-options', 'train_cfg.max_epochs=1', *type_)
    runner, = runners
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    assert type(wrapper).__name__ == trained_with


def test_a_training_is_as_long_as_told(tiny, tmp_path, monkeypatch, capsys):
    runners = []
    monkeypatch.setattr(Runner, 'train', lambda self: runners.append(self))
    train = 'train.py', tiny, '--work-dir', tmp_path / 'run'
    scheduler = ("param_scheduler=dict(type='MultiStepLR', milestones=[4])", )
    run(monkeypatch, *train, '--epochs', 10, '--cfg-options', *scheduler)
    config = runners[0].cfg
    assert config.train_cfg.max_epochs == 10
    assert config.param_scheduler.milestones == [20]
    assert 'use --epochs instead' in told(monkeypatch, *train, '--iters', 3)
    assert 'exclude each other' in told(monkeypatch, *train, '--epochs', 3,
                                        '--cfg-options',
                                        'train_cfg.max_epochs=3')
    for wrong in (['--epochs', '0'], ['--epochs', 3, '--iters', 3]):
        with pytest.raises(SystemExit):
            run(monkeypatch, *train, *wrong)
        assert 'argument --' in capsys.readouterr().err


def test_user_errors_are_one_message(tiny, tmp_path, monkeypatch):
    assert 'there is no config none.py' in told(monkeypatch, 'train.py',
                                                'none.py')
    page = tmp_path / 'page.pth'
    page.write_text('<html>')
    folder = ('--work-dir', tmp_path / 'run')
    for args in (('train.py', tiny, *folder, '--cfg-options',
                  f'load_from={page}'), ('test.py', tiny, page, *folder)):
        assert 'page.pth is a web page' in told(monkeypatch, *args)
    assert 'base_batch_size' in told(monkeypatch, 'train.py', tiny, *folder,
                                     '--auto-scale-lr', '--cfg-options',
                                     'auto_scale_lr=None')
    assert 'has 2 samples, fewer than one batch' in told(
        monkeypatch, 'train.py', tiny, *folder, '--cfg-options',
        'train_dataloader.drop_last=True',
        'train_dataloader.dataset.indices=2')
    assert 'has no test_dataloader' in told(monkeypatch, 'test.py', PRETRAIN,
                                            page, *folder)


def test_missing_library_is_named_with_its_cure(tmp_path, monkeypatch):
    (tmp_path / 'needy.py').write_text(
        'from glid_mm.errors import require\n'
        "require('mm_absent', task='dreaming')\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = tmp_path / 'config.py'
    config.write_text("custom_imports = dict(imports=['needy'])")
    message = told(monkeypatch, 'train.py', config)
    assert message.startswith('dreaming needs mm_absent')
    assert 'pip install mm_absent' in message


@pytest.mark.parametrize('host,name,switch', [
    ('mmdet', 'DetVisualizationHook', 'draw'),
    ('mmseg', 'SegVisualizationHook', 'draw'),
    ('mmpretrain', 'VisualizationHook', 'enable'),
    ('mmpose', 'PoseVisualizationHook', 'enable'),
])
def test_show_dir_speaks_every_hosts_language(host, name, switch, tmp_path):
    pytest.importorskip(host)
    hooks = pytest.importorskip(f'{host}.engine.hooks')
    config = Config(dict(default_hooks=dict(visualization=dict(type=name))))
    show_predictions(config, str(tmp_path))
    hook = dict(config.default_hooks.visualization)
    assert hook.pop('type') == name and hook[switch]
    inspect.signature(getattr(hooks, name)).bind(**hook)
    assert str(tmp_path) in (hook.get('out_dir'),
                             config.get('visualizer', {}).get('save_dir'))


def test_show_dir_without_a_hook_is_refused():
    with pytest.raises(UserError, match='default_hooks.visualization'):
        show_predictions(Config(), 'folder')


def dist(script, *args, cwd):
    """Start a script in two processes; return a function that waits for it."""
    with socket.socket() as free:
        free.bind(('', 0))
        port = str(free.getsockname()[1])
    process = subprocess.Popen(
        [shutil.which('bash'),
         str(ROOT / 'tools' / script), *map(str, args)],
        cwd=cwd,
        env={
            **os.environ, 'PORT': port,
            'OMP_NUM_THREADS': '1',
            'PYTHONPATH': f'{ROOT}:{cwd}',
            'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True)

    def finish(fails=False):
        output, _ = process.communicate(timeout=120)
        assert bool(process.returncode) == fails, output
        return output

    return finish


def test_dist_scripts_end_with_the_error_of_one_process_once(tiny, tmp_path):
    (tmp_path / 'faults.py').write_text("""
from mmengine.dist import barrier, get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from glid_mm.errors import UserError

@HOOKS.register_module()
class Fault(Hook):
    def before_train(self, runner):
        if get_rank():
            raise UserError('mend it')
        barrier()
""")
    tiny.write_text(tiny.read_text().replace(
        "['tests.test_engine.tiny']", "['tests.test_engine.tiny', 'faults']") +
                    "custom_hooks = [dict(type='Fault')]\n")
    output = dist(
        'dist_train.sh', tiny, 2, '--work-dir', 'run', cwd=tmp_path)(
            fails=True)
    assert output.splitlines()[-1] == 'UserError: mend it'
    assert output.count('mend it') == 1
    assert 'ChildFailedError' not in output


@pytest.mark.parametrize('errors,last', [
    ([RuntimeError('connection lost'), UserError('mend it')],
     'UserError: mend it'),
    ([UserError('mend it'), UserError('and me')], 'UserError: mend it'),
    ([OSError(errno.ENOSPC, 'No space left on device', 'run/a.log')],
     'NoSpaceError: no space left to write run/a.log. Older files are intact. '
     'Make room or choose another disk.'),
    ([ValueError('a bug'), RuntimeError('connection lost')],
     'process 0 failed, see its traceback: ValueError: a bug'),
    ([-9], 'process 0 was ended by SIGKILL'),
    ([2], 'process 0 ended with exit code 2; see its output above'),
], ids=str)  # yapf: disable
def test_the_first_error_of_many_processes_is_told(errors, last, tmp_path,
                                                   monkeypatch, capsys):
    monkeypatch.setattr(os, '_exit', sys.exit)
    failures = {}
    for rank, error in enumerate(errors):
        file = tmp_path / f'{rank}.json'
        code = error
        if isinstance(error, Exception):

            def fail():
                raise error

            monkeypatch.setenv('TORCHELASTIC_ERROR_FILE', str(file))
            mendable = isinstance(error, (UserError, OSError))
            kind = SystemExit if mendable else type(error)
            with pytest.raises(kind) as caught:
                launch.main(fail)
            code = getattr(caught.value, 'code', 1)
        failures[rank] = ProcessFailure(rank, 1000 + rank, code, str(file))
    assert capsys.readouterr() == ('', '')
    tool = runpy.run_path(str(ROOT / 'tools/dist_run.py'))
    error = ChildFailedError('train.py', failures)
    assert tool['first_failure'](error) == last


def test_ctrl_c_that_a_library_renames_is_one_line(capsys):

    def tool():
        try:
            raise KeyboardInterrupt
        except BaseException:
            raise SyntaxError('Failed to format the config')

    with pytest.raises(SystemExit) as stop:
        launch.main(tool)
    assert stop.value.code == 130
    assert capsys.readouterr().err == 'interrupted\n'


@pytest.mark.slow
def test_dist_scripts_without_gpus_do_as_one_process(tmp_path, monkeypatch):
    pytest.importorskip('mmpose')
    scenes = tmp_path / 'scenes'
    write_scenes(scenes, train=8, val=5, unlabelled=0, size=64, seed=0)
    options = ['train_cfg.max_iters=3']
    for split in ('train', 'val', 'test'):
        loader = f'{split}_dataloader'
        options += [
            f'{loader}.dataset.data_root={scenes}/',
            f'{loader}.num_workers=0',
            f'{loader}.persistent_workers=False',
        ]
    options += ['test_dataloader.batch_size=2', 'train_dataloader.batch_size=']

    def arguments(name, batch, *args):
        return (*args, '--work-dir', tmp_path / name, '--cfg-options',
                *options[:-1], f'{options[-1]}{batch}')

    finish = dist('dist_train.sh', *arguments('two', 2, POSE, 2), cwd=tmp_path)
    run(monkeypatch, 'train.py', *arguments('one', 4, POSE))
    finish()
    checkpoint = tmp_path / 'one' / 'iter_3.pth'
    one, both = (
        read_checkpoint(tmp_path / name / checkpoint.name)
        for name in ('one', 'two'))
    assert one['meta']['iter'] == both['meta']['iter'] == 3
    # First moments are sums of gradients, with little rounding.
    gradients, others = ([
        moments['exp_avg']
        for moments in checkpoint['optimizer']['state'].values()
    ] for checkpoint in (one, both))
    assert max(gradient.abs().max() for gradient in gradients) > 1e-5
    torch.testing.assert_close(others, gradients, rtol=1e-3, atol=1e-8)

    # The five images have three people: one process gets one more.
    finish = dist(
        'dist_test.sh',
        *arguments('two', 2, POSE, checkpoint, 2, '--out',
                   tmp_path / 'two.pkl'),
        cwd=tmp_path)
    run(monkeypatch, 'test.py',
        *arguments('one', 2, POSE, checkpoint, '--out', tmp_path / 'one.pkl'))
    finish()
    people, others = (
        pickle.loads((tmp_path / f'{name}.pkl').read_bytes())
        for name in ('one', 'two'))
    assert len(people) == len(others) == 3
    for person, other in zip(people, others):
        assert person['id'] == other['id']
        assert np.allclose(person['pred_instances']['keypoints'],
                           other['pred_instances']['keypoints'])
    measured = [
        max((tmp_path / name).glob('*/*.json')).read_text().splitlines()[-1]
        for name in ('one', 'two')
    ]
    one, both = ({
        name: value
        for name, value in json.loads(line).items() if 'time' not in name
    } for line in measured)
    assert one == both and 'coco/AP' in one
