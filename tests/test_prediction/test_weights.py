"""Loading a model from a folder, a checkpoint or a weights file."""
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config

import glid_mm
from glid_mm.checkpoint.tasks import take_task
from glid_mm.errors import CheckpointError, UserError
from glid_mm.io.checkpoints import read_checkpoint
from glid_mm.io.settings import read_settings
from glid_mm.prediction import read_run, tasks_of
from ..test_tasks.mixtures import CONFIGS, TASKS
from ..test_tools.converters import tool
from ..test_tools.test_tools import ROOT
from .conftest import equal


@pytest.mark.parametrize(
    'path',
    [*TASKS.values(), 'multitask/glid_nano_1xb24-14k_scenes-128x128.py'])
def test_configs_read_as_data_are_those_that_run(path):
    config = Config.fromfile(CONFIGS / path)
    read = read_settings(config.pretty_text)
    assert read.values == config.to_dict() and not read.programs


def test_settings_that_are_programs_are_told_apart():
    read = read_settings('import os\na = dict(b=[1, (2, -3.5)], c={1: None})\n'
                         'd = dict(e=os.getcwd())\nf = dict({1: 2})\n')
    assert read.values == dict(
        a=dict(b=[1, (2, -3.5)], c={1: None}),
        d=dict(e='os.getcwd()'),
        f='dict({1: 2})')
    assert read.programs == ['import os', 'os.getcwd()', 'dict({1: 2})']


def test_of_a_run_it_is_the_best_checkpoint_or_the_last(runs, tmp_path):
    source = runs / 'depth' / 'iter_1.pth'
    for name in ('iter_1', 'iter_2', 'iter_3'):
        os.symlink(source, tmp_path / f'{name}.pth')
    note = tmp_path / 'last_checkpoint'
    note.write_text(str(tmp_path / 'iter_2.pth'))
    path, config, _ = read_run(tmp_path)
    assert path == tmp_path / 'iter_2.pth'
    assert tasks_of(config) == dict(depth='depth')
    # As if the folder had been copied from elsewhere.
    note.write_text('/elsewhere/iter_2.pth')
    assert read_run(tmp_path).path.parent == tmp_path
    os.symlink(source, tmp_path / 'best_rmse_iter_1.pth')
    assert read_run(str(tmp_path)).path == tmp_path / 'best_rmse_iter_1.pth'
    assert read_run(tmp_path / 'iter_3.pth').path == tmp_path / 'iter_3.pth'


def test_a_run_of_our_runner_is_loaded(scenes, pictures, tmp_path):
    from ..test_tasks.test_detection.build import run, small_run
    config = small_run(scenes, tmp_path / 'run')
    runner = run(config)
    runner.train()
    predictor = glid_mm.load(tmp_path / 'run', 'cpu')
    assert predictor.classes == ('box', 'ball', 'cone', 'person')
    weights = runner.model.state_dict()
    for name, value in predictor.model.state_dict().items():
        assert torch.equal(value, weights[name])
    assert len(predictor.predict(pictures[0], threshold=0).boxes) == 20


# The formats differ in how they store lists and numbers.
@pytest.mark.parametrize('task,suffix', [
    *((t, '.safetensors') for t in (*TASKS, 'pretrain', 'mixture')),
    ('pose', '.pth'), ('detection', '.pth')
])
def test_a_published_file_alone_is_enough(runs, mixture_run, pictures, task,
                                          suffix, tmp_path, monkeypatch):
    tool(monkeypatch, 'publish_model',
         read_run(runs / task).path, tmp_path / f'alone{suffix}')
    file, = tmp_path.glob('alone-*')
    # This folder has only the published file, nothing of the run.
    monkeypatch.chdir(tmp_path)
    of = 'pose' if task == 'mixture' else None
    one = glid_mm.load(file, 'cpu', of)
    other = glid_mm.load(runs / task, 'cpu', of)
    assert (one.task, one.classes, one.tasks) == (other.task, other.classes,
                                                  other.tasks)
    if task == 'pretrain':
        a, b = (p.reconstruct(pictures[0]) for p in (one, other))
        assert np.array_equal(a.reconstructed, b.reconstructed)
        return
    a, b = (p.predict(pictures[0], threshold=0) for p in (one, other))
    assert equal(a, b)
    assert np.array_equal(a.plot(), b.plot())


def test_published_files_say_their_tasks(runs, mixture_run, tmp_path,
                                         monkeypatch):
    from glid_mm.io.checkpoints import read_checkpoint
    for name, tasks in (('detection', dict(detection='detection')),
                        ('mixture', {
                            t: t
                            for t in TASKS
                        })):
        tool(monkeypatch, 'publish_model', runs / name / 'iter_1.pth',
             tmp_path / name / 'a.safetensors')
        file, = (tmp_path / name).iterdir()
        assert read_checkpoint(file)['meta']['tasks'] == tasks


@pytest.mark.parametrize('task', TASKS)
def test_a_task_of_a_mixture_is_as_in_the_mixture(mixture_run, pictures, task):
    predictor = glid_mm.load(mixture_run, 'cpu', task)
    assert predictor.task == predictor.name == task
    assert predictor.tasks == {t: t for t in TASKS}
    from mmengine.registry import MODELS, init_default_scope
    path, config, _ = read_run(mixture_run)
    init_default_scope('mmengine')
    mixture = MODELS.build(config.model)
    mixture.load_state_dict(torch.load(path, weights_only=False)['state_dict'])
    model = mixture.tasks[task].eval()
    theirs = predictor.predict(pictures[0], threshold=0)
    with torch.no_grad():
        predictor._inferencer.model = model.eval()
        model.dataset_meta = predictor.model.dataset_meta
        model.cfg = predictor.config
        assert equal(
            predictor.predict(pictures[0], threshold=0), theirs, atol=1e-3)


@pytest.mark.parametrize('task', ['semantic', 'pose'])
def test_a_mixture_with_the_config_of_a_task(task, mixture_run, runs,
                                             pictures):
    alone = glid_mm.load(runs / task, 'cpu')
    _, config, _ = read_run(runs / task)
    predictor = glid_mm.load(mixture_run, 'cpu', config=config)
    if task == 'semantic':  # configs of poses do not name the class
        assert predictor.classes == alone.classes
    assert predictor.predict(pictures[0]).task == task


def test_a_task_taken_from_published_weights_has_no_other_config(tmp_path):
    whole = read_checkpoint('weights:nano-scenes-tasks')
    assert 'config' in whole['meta']
    torch.save(take_task(whole, 'pose'), tmp_path / 'pose.pth')
    with pytest.raises(UserError, match='config='):
        glid_mm.load(tmp_path / 'pose.pth')


def test_tasks_of_a_mixture_are_chosen(mixture_run, runs):
    with pytest.raises(UserError, match="tasks: depth, .*task='depth'"):
        glid_mm.load(mixture_run)
    depth = glid_mm.load(mixture_run, 'cpu', 'depth')
    assert depth.of_task('pose').task == 'pose'
    with pytest.raises(UserError, match='not for colour'):
        depth.of_task('colour')
    with pytest.raises(UserError, match='for depth, not for pose'):
        glid_mm.load(runs / 'depth', task='pose')
    assert glid_mm.load(runs / 'depth', 'cpu', 'depth').task == 'depth'
    with pytest.raises(UserError, match='cannot do pose yet. Fine-tune'):
        glid_mm.load(runs / 'pretrain', task='pose')


def test_tasks_of_one_kind_are_told_apart_by_name():
    config = Config.fromfile(CONFIGS / TASKS['semantic'])
    model = dict(config.model, _scope_='mmseg')
    mixed = Config(
        dict(
            model=dict(tasks=dict(ours=model, theirs=model)),
            default_scope='mmengine'))
    from glid_mm.prediction.tasks import choose_task
    assert choose_task(mixed, 'theirs') == 'theirs'
    with pytest.raises(UserError, match='ours, theirs. Give one'):
        choose_task(mixed, 'semantic')


def test_pretraining_reconstructs_and_predicts_nothing(runs, pictures):
    predictor = glid_mm.load(runs / 'pretrain', 'cpu')
    assert predictor.task == 'pretrain' and predictor.classes == ()
    with pytest.raises(UserError, match='has no task yet. Fine-tune'):
        predictor.predict(pictures[0])
    mask = np.zeros((2, 3), bool)
    for wrong, message in ((mask, r'\(2, 3\).* 2×2 units'), (np.ones(
        (2, 2)), 'leave at least one visible'), (np.zeros(
            (2, 2)), 'hides 0 of 4')):
        with pytest.raises(UserError, match=message):
            predictor.reconstruct(pictures[0], wrong)
    with pytest.raises(UserError, match='multiple of 32'):
        predictor.reconstruct(pictures[0], size=50)
    mask = np.array([[True, False], [False, False]])
    answer = predictor.reconstruct(pictures[0], mask)
    given, masked, made = map(np.array, answer[:3])
    assert made.shape == (64, 64, 3)
    for picture in (masked, made):
        assert np.array_equal(picture[32:], given[32:])
        assert not np.array_equal(picture[:32, :32], given[:32, :32])
    assert len(np.unique(masked[:32, :32].reshape(-1, 3), axis=0)) == 1
    drawn = predictor.reconstruct(pictures[0])
    assert drawn.mask.sum() == 8 and drawn.picture.size == (128, 128)
    with pytest.raises(UserError, match='Only weights from pre-training'):
        glid_mm.load(runs / 'depth', 'cpu').reconstruct(pictures[0])


def bare(runs, path, **meta):
    """Write weights without a run's metadata; return the run's config."""
    content = torch.load(runs / 'depth' / 'iter_1.pth', weights_only=False)
    torch.save(dict(state_dict=content['state_dict'], meta=meta), path)
    return content['meta']['cfg']


def test_weights_without_config_need_one(runs, pictures, tmp_path):
    text = bare(runs, tmp_path / 'bare.pth')
    with pytest.raises(UserError, match='no configs next to it.*config=PATH'):
        glid_mm.load(tmp_path / 'bare.pth')
    folder = tmp_path / 'beside'
    folder.mkdir()
    bare(runs, folder / 'bare.pth')
    (folder / 'mine.py').write_text(text)
    wanted = glid_mm.load(runs / 'depth', 'cpu').predict(pictures[0])
    for given in (glid_mm.load(folder, 'cpu'),
                  glid_mm.load(
                      tmp_path / 'bare.pth', 'cpu',
                      config=folder / 'mine.py')):
        assert equal(given.predict(pictures[0]), wanted)
    with pytest.raises(UserError, match='there is no config nowhere.py'):
        glid_mm.load(tmp_path / 'bare.pth', config='nowhere.py')
    with pytest.raises(CheckpointError, match='would stay random'):
        glid_mm.load(
            runs / 'pretrain', config=Config.fromfile(folder / 'mine.py'))


@pytest.mark.parametrize('task', ['detection', 'pose', 'semantic'])
def test_classes_come_from_the_config_where_weights_name_none(
        runs, pictures, task, tmp_path):
    content = torch.load(runs / task / 'iter_1.pth', weights_only=False)
    wanted = glid_mm.load(runs / task, 'cpu').predict(pictures[0], threshold=0)
    del content['meta']['dataset_meta']
    torch.save(content, tmp_path / 'a.pth')
    found = glid_mm.load(tmp_path / 'a.pth', 'cpu')
    assert equal(found.predict(pictures[0], threshold=0), wanted)
    assert task == 'pose' or found.classes[0] == 'box'
    if task == 'semantic':
        # The config names a class list that does not exist here.
        config = Config.fromfile(CONFIGS / TASKS[task])
        config.model.backbone = found.config.model.backbone
        config.test_dataloader.dataset.metainfo = dict(classes='nowhere.txt')
        content['meta']['cfg'] = config.pretty_text
        torch.save(content, tmp_path / 'a.pth')
        assert glid_mm.load(tmp_path / 'a.pth').classes[0] == 'class 0'


@pytest.mark.parametrize('text,message', [
    ('import os\nos.mkdir("ran")\n', "contains code .'import os'"),
    ('model = dict(type=open("ran", "w"))\n', 'contains code'),
    ('model = dict(', 'cannot be read'),
    ('custom_imports = dict(imports=["ran_by_import"])\n',
     'imports ran_by_import, which is not part of glid_mm'),
    ('custom_imports = dict(imports=["glid_mm.tomorrow"])\n',
     'needs glid_mm.tomorrow, which glid_mm .* does not have'),
])
def test_configs_in_weights_are_not_run(runs, tmp_path, text, message,
                                        monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'ran_by_import.py').write_text('open("ran", "w")')
    bare(runs, tmp_path / 'a.pth', cfg=text)
    with pytest.raises(UserError, match=message):
        glid_mm.load(tmp_path / 'a.pth')
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('name', ['os.mkdir', 'mmengine.load', 'mkdir'])
@pytest.mark.parametrize(
    'place',
    ['model.decode_head', 'test_dataloader.dataset.pipeline.1', 'visualizer'])
def test_configs_in_weights_call_nothing_but_what_is_registered(
        runs, tmp_path, name, place, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = Config.fromfile(CONFIGS / TASKS['depth'])
    config.merge_from_dict({place: dict(_delete_=True, type=name, path='x')})
    bare(runs, tmp_path / 'a.pth', cfg=config.pretty_text)
    with pytest.raises(UserError, match=f"asks for '{name}'"):
        glid_mm.load(tmp_path / 'a.pth')
    assert not (tmp_path / 'x').exists()


def test_folders_without_weights_are_named(tmp_path):
    with pytest.raises(CheckpointError, match='no checkpoint in .*best_'):
        glid_mm.load(tmp_path)
    for name in ('a', 'b'):
        (tmp_path / f'{name}.safetensors').touch()
    with pytest.raises(CheckpointError, match='a.safetensors, b.safetensors'):
        glid_mm.load(tmp_path)
    for path, message in (('nowhere.pth', 'no checkpoint nowhere.pth'),
                          ('https://a.org/b.pth', 'is a URL'),
                          ('weights:nobody', 'no weights weights:nobody')):
        with pytest.raises(CheckpointError, match=message):
            glid_mm.load(path)
    with pytest.raises(UserError, match="device 'abacus' is not available"):
        glid_mm.load('weights:nano-scenes', 'abacus')


def test_what_ships_is_loaded(pictures):
    predictor = glid_mm.load('weights:nano-scenes', 'cpu')
    assert predictor.task == 'pretrain'
    answer = predictor.reconstruct(pictures[0])
    given, masked, made = (np.array(x, float) for x in answer[:3])
    # Trained weights are better than the mean colour of photos.
    assert np.abs(made - given).sum() < .5 * np.abs(masked - given).sum()


def test_loading_imports_the_rest_when_it_is_asked():
    code = ('import glid_mm, sys\n'
            'assert "torch" not in sys.modules\n'
            'try: glid_mm.load("nowhere.pth")\n'
            'except glid_mm.errors.UserError as error: print(error)\n')
    done = subprocess.run([sys.executable, '-c', code],
                          cwd=ROOT,
                          capture_output=True,
                          text=True)
    assert 'no checkpoint nowhere.pth' in done.stdout, done.stderr
