"""The ``glid`` command: help, devices, conversions and a complete workflow."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image

from glid_mm.cli import predict
from glid_mm.cli import test as test_verb
from glid_mm.cli import tools, verbs
from glid_mm.cli.configs import config_for
from glid_mm.cli.verbs import run
from glid_mm.engine.launch import read_config
from glid_mm.errors import UserError
from glid_mm.own_data import recognise
from ..test_own_data.build import boxes, true_boxes


def test_help_names_every_verb_and_imports_little():
    code = ('import sys\nfrom glid_mm.cli.verbs import run\n'
            'try:\n    run()\nexcept SystemExit:\n    pass\n'
            'print("torch" in sys.modules)')
    said = subprocess.run([sys.executable, '-c', code],
                          capture_output=True,
                          text=True,
                          check=True).stdout
    for verb in (*verbs._VERBS, *tools.PASSED_ON):
        assert f'\n    {verb}' in said
    assert said.endswith('False\n')


@pytest.mark.parametrize('verb', verbs._VERBS)
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        run(verb, '--help')
    assert not stop.value.code
    assert f'usage: glid {verb}' in capsys.readouterr().out


@pytest.mark.parametrize('verb', ['test', 'predict', 'export', 'app'])
def test_a_gpu_that_is_not_there(verb, tmp_path):
    pictures = [str(tmp_path)] * (verb == 'predict')
    with pytest.raises(UserError, match="'cuda:97' is not available"):
        run(verb, 'weights:nano-scenes', *pictures, '--device', 'cuda:97')


@pytest.mark.parametrize('device,seen,left', [
    ('cpu', '4,7', ''),
    ('cuda', None, '0'),
    ('cuda:1', None, '1'),
    ('cuda:1', '4,7', '7'),
])
def test_a_test_sees_one_device(device, seen, left, monkeypatch):
    name = 'CUDA_VISIBLE_DEVICES'
    monkeypatch.delenv(name, raising=False)
    if seen:
        monkeypatch.setenv(name, seen)
    test_verb._show_only(torch.device(device))
    assert os.environ[name] == left


def run_with(folder, task, dataset_meta):
    """A run that has only a config and what its checkpoint says of it."""
    config = Config.fromfile(config_for(task, 'nano'))
    folder.mkdir()
    torch.save(
        dict(
            meta=dict(cfg=config.pretty_text, dataset_meta=dataset_meta),
            state_dict=dict(weight=torch.zeros(1))), folder / 'epoch_1.pth')
    return str(folder)


def written_by_test(started, *arguments):
    """The config that ``glid test`` has written, and its folder."""
    with pytest.raises(SystemExit):
        run('test', *map(str, arguments))
    _, script, config, _, option, folder, *_ = started.pop()
    assert script.endswith('tools/test.py') and option == '--work-dir'
    return read_config(config, {}), folder


@pytest.mark.parametrize('names', ['ball box cone person', 'box ball person'])
def test_other_data_gets_the_classes_of_the_run(names, scenes, started,
                                                tmp_path):
    pytest.importorskip('mmdet')
    names = names.split()
    weights = run_with(tmp_path / 'run', 'detection', dict(classes=names))
    config, folder = written_by_test(started, weights, '--data', scenes)
    assert folder == str(tmp_path / 'run/test')
    init_default_scope(config.default_scope)
    dataset = DATASETS.build(config.test_dataloader.dataset)
    assert list(dataset.metainfo['classes']) == names
    assert boxes(dataset) == {
        name: [row for row in rows if row[0] in names]
        for name, rows in true_boxes(scenes, 'val').items()
    }
    with pytest.raises(UserError, match='for the test are box, .*Omit --cl'):
        run('test', weights, '--data', str(scenes), '--classes', 'box', 'ball')


def test_other_data_lacks_a_class_of_the_run(scenes, tmp_path):
    weights = run_with(tmp_path / 'run', 'detection',
                       dict(classes=['box', 'cat']))
    with pytest.raises(UserError, match='does not fit.* box, cat: .*class ca'):
        run('test', weights, '--data', str(scenes))


@pytest.mark.parametrize('change', [lambda names: names[::-1], tuple])
def test_other_data_has_the_keypoints_of_the_run(change, scenes, started,
                                                 tmp_path):
    names = recognise(scenes, 'pose').keypoints
    weights = run_with(tmp_path / 'run', 'pose',
                       dict(keypoint_id2name=dict(enumerate(change(names)))))
    if change is tuple:
        written_by_test(started, weights, '--data', scenes)
    else:
        with pytest.raises(UserError, match='keypoints nose.*in the same ord'):
            run('test', weights, '--data', str(scenes))


def test_a_test_of_shipped_weights_is_not_in_the_package(
        started, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, folder = written_by_test(started, 'weights:nano-scenes-tasks')
    assert folder == str(tmp_path / 'work_dirs/test_nano-scenes-tasks')


def test_results_of_an_earlier_call_are_no_pictures(tmp_path, monkeypatch):

    class Predictor:
        task = 'depth'

        def stream(self, pictures, threshold):
            seen.append(pictures[0].name)
            return [self]

        def save(self, out):
            for name in 'vis', 'pred':
                (out / name).mkdir(exist_ok=True)
                Image.new('RGB', (8, 8)).save(out / name / f'{seen[-1]}.png')

        boxes = None

    monkeypatch.setattr(predict, 'load', lambda *_: Predictor())
    monkeypatch.chdir(tmp_path)
    seen = []
    Image.new('RGB', (8, 8)).save('photo.png')
    for _ in range(2):
        run('predict', 'weights:nano-scenes', '.')
    assert seen == ['photo', 'photo']
    with pytest.raises(UserError, match='all pictures are results'):
        run('predict', 'weights:nano-scenes', 'predictions/vis')


def test_reconstructions_do_not_replace_pictures(tmp_path):
    picture = tmp_path / 'photo.png'
    Image.new('RGB', (40, 50), 'red').save(picture)
    for _ in range(2):
        run('predict', 'weights:nano-scenes', str(tmp_path), '--out',
            str(tmp_path), '--device', 'cpu')
    assert Image.open(picture).size == (40, 50)
    assert [path.name
            for path in (tmp_path / 'vis').iterdir()] == ['photo.png']


@pytest.mark.parametrize('name', tools._CONVERSIONS)
def test_conversions_are_scripts(name, started):
    with pytest.raises(SystemExit):
        run('convert', name.replace('_', '-'), '--help')
    (_, script, option), = started
    assert Path(script).is_file() and option == '--help'


def test_a_conversion_that_is_none(capsys):
    with pytest.raises(SystemExit, match='to-glid'):
        run('convert', 'to-glit')
    with pytest.raises(SystemExit) as stop:
        run('convert')
    assert not stop.value.code and 'to-glid' in capsys.readouterr().out


def test_a_tool_of_the_checkout_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(tools, 'SHIPPED', tmp_path)
    with pytest.raises(SystemExit, match='checkout'):
        run('demo')


@pytest.mark.slow
def test_from_pictures_to_predictions(scenes, tmp_path):
    """Run the verbs in turn, from pre-training on; paths contain spaces."""
    env = dict(os.environ, OMP_NUM_THREADS='1')

    def glid(*arguments, fails=False):
        done = subprocess.run(
            [sys.executable, '-m', 'glid_mm', *map(str, arguments)],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True)
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    pictures = scenes / 'images' / 'val'
    small = ('--size', 'nano', '--set')
    glid('pretrain', scenes / 'images' / 'unlabelled', '--epochs', 1, '--out',
         'my photos', *small, 'train_dataloader.dataset.pipeline.0.scale=64')
    glid('predict', 'my photos', pictures, '--out', 'seen')
    assert len(list((tmp_path / 'seen' / 'vis').glob('*.png'))) == 4
    said = glid('train', 'semantic', scenes, '--iters', 2, '--weights',
                'my photos/epoch_1.pth', '--out', 'my model')
    assert 'tools/train.py' in said
    run_dir = tmp_path / 'my model'
    assert list(run_dir.glob('best_mIoU*.pth'))
    assert list(run_dir.rglob('vis_image/predictions_*.png'))
    assert list(run_dir.rglob('events.out.tfevents.*'))
    assert 'mIoU' in glid('test', 'my model', '--data', scenes)
    glid('predict', 'my model', pictures, '--out', 'found')
    assert len(list((tmp_path / 'found' / 'vis').glob('*.png'))) == 4
    damaged = tmp_path / 'damaged.jpg'
    damaged.write_bytes(next(pictures.iterdir()).read_bytes()[:400])
    said = glid(
        'predict', 'my model', damaged, pictures, '--out', 'rest', fails=True)
    assert 'damaged.jpg' in said and 'Traceback' not in said
    assert len(list((tmp_path / 'rest' / 'vis').glob('*.png'))) == 4
    said = glid(
        'predict', 'my model', pictures, '--out', damaged / 'x', fails=True)
    assert '--out' in said and 'Traceback' not in said
    glid('export', 'my model', '--out', 'm.onnx', '--image-size', 64, 64)
    assert (tmp_path / 'm.onnx').is_file()
    done = glid('resume', 'my model')
    assert 'Training' in done
