"""``glid train`` and ``glid pretrain`` turn a folder into a run's config."""
import importlib.util
import math
import shutil

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope

from glid_mm.checkpoint.formats import from_glid
from glid_mm.cli import auto
from glid_mm.cli.auto import adapt
from glid_mm.cli.configs import SIZES, Start, config_for
from glid_mm.cli.options import TASKS
from glid_mm.cli.verbs import run
from glid_mm.engine.launch import read_config
from glid_mm.errors import MissingLibraryError, UserError
from glid_mm.io.checkpoints import read_checkpoint

HOSTS = dict(
    pretrain='mmpretrain',
    semantic='mmseg',
    depth='mmseg',
    detection='mmdet',
    instance='mmdet',
    panoptic='mmdet',
    pose='mmpose')


def train(started, task, *arguments):
    """Write a run and return its config as ``tools/train.py`` reads it."""
    verb = ['pretrain'] if task == 'pretrain' else ['train', task]
    with pytest.raises(SystemExit):
        run(*verb, *map(str, arguments))
    command, = started
    assert command[1].endswith('tools/train.py')
    return read_config(command[2], {})


@pytest.mark.parametrize('task', ['pretrain', *TASKS])
def test_every_task_gets_data_and_model(task, scenes, started, tmp_path):
    pytest.importorskip(HOSTS[task])
    data = scenes
    if task == 'pretrain':
        data = scenes / 'images' / 'unlabelled'
    config = train(started, task, data, '--out', tmp_path / 'a run')
    init_default_scope(config.default_scope)
    for split in ('train', 'val', 'test')[:1 if task == 'pretrain' else 3]:
        dataset = DATASETS.build(config[f'{split}_dataloader'].dataset)
        assert dataset[0]['inputs'].shape[-3] == 3
    with torch.device('meta'):
        model = MODELS.build(config.model)
    assert model.backbone.encoder.out_channels[0] == 32
    assert config.work_dir == str(tmp_path / 'a run')


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('task', ['pretrain', *TASKS])
def test_every_task_has_every_size(task, size):
    config = Config.fromfile(
        config_for(task, size), import_custom_modules=False)
    assert config.model.backbone.encoder.arch == size


def test_check_writes_nothing(scenes, started, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run('train', 'detection', str(scenes), '--check', '--size', 'tiny')
    said = capsys.readouterr().out
    assert '6 images for training, 4 for validation' in said
    assert 'batch of' in said and 'size tiny' in said
    assert not started and not list(tmp_path.iterdir())


def test_a_small_set_is_seen_often_enough(scenes, started, tmp_path):
    config = train(started, 'detection', scenes, '--out', tmp_path)
    assert config.train_dataloader.batch_size == 6  # the data has only six
    loop = config.train_cfg
    assert (loop.max_iters, loop.val_interval) == (1000, 100)
    assert config.default_hooks.checkpoint.interval == 100
    warm_up, decay = config.param_scheduler
    assert (decay.end, decay.milestones) == (1000, [800])
    assert warm_up.end == pytest.approx(50 / 7, abs=1)


@pytest.mark.parametrize(
    'size,images,devices,epochs',
    [
        ('nano', 4000, 1, 30),
        ('nano', 32000, 1, 10),
        # The loader drops incomplete batches.
        ('nano', 60, 1, 3750),
        ('tiny', 4000, 1, 1334),
        ('base', 4000, 2, 2858),
        ('base', 10**6, 1, 100),
    ])
def test_pre_training_follows_the_number_of_pictures(size, images, devices,
                                                     epochs):
    config = Config.fromfile(config_for('pretrain', size))
    said = [*adapt(config, 'pretrain', size, images, devices, ())][-1]
    steps = images // (devices * config.train_dataloader.batch_size) * epochs
    assert said.startswith(
        f'{epochs} epochs of {images} pictures, {steps} steps: at least ')
    assert config.train_cfg.max_epochs == epochs
    warm_up, decay = config.param_scheduler
    assert warm_up.end == decay.begin and decay.end == epochs
    assert config.default_hooks.checkpoint.interval == -(-epochs // 10)
    # A length set by the user is kept.
    config = Config.fromfile(config_for('pretrain', size))
    before = config.to_dict()['train_cfg']
    said = [*adapt(config, 'pretrain', size, images, devices, {'epochs'})][-1]
    assert said.endswith(' steps: --epochs')
    assert config.train_cfg == before


@pytest.mark.parametrize('size,said', [
    ('nano', '1000 steps, 100 passes over 90 objects'),
    ('tiny', '210 epochs of 90 objects, 420 steps'),
])
def test_poses_are_counted_by_object(size, said):
    config = Config.fromfile(config_for('pose', size))
    given = {'train_dataloader.batch_size'} if size == 'tiny' else ()
    config.train_dataloader.batch_size = 9 if size == 'nano' else 64
    lines = [*adapt(config, 'pose', size, 90, 1, given)]
    assert any(line.startswith(said) for line in lines)
    assert lines[0].startswith(
        f'batch of {config.train_dataloader.batch_size} objects: ')


def test_without_auto_the_config_stays(scenes, started, tmp_path):
    ours = Config.fromfile(config_for('detection', 'nano'))
    config = train(started, 'detection', scenes, '--out', tmp_path,
                   '--no-auto')
    for key in ('train_cfg', 'param_scheduler', 'optim_wrapper'):
        assert config[key] == ours[key]
    assert config.train_dataloader.batch_size == 16


def test_a_gpu_takes_what_fits(scenes, started, tmp_path, monkeypatch):

    class Card:
        total_memory = 24 * 2**30

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda i: Card)
    images = scenes / 'images' / 'unlabelled'
    config = train(started, 'pretrain', images, '--out', tmp_path, '--set',
                   'randomness.seed=3')
    # Defaults: Swin-T, all four images in a batch, a scaled learning rate.
    assert config.model.backbone.encoder.arch == 'tiny'
    assert config.train_dataloader.batch_size == 4
    assert config.auto_scale_lr.enable
    assert config.randomness.seed == 3


def test_batches_follow_memory(monkeypatch):
    config = Config.fromfile(config_for('semantic', 'base'))

    def on(memory, task='semantic', size='base', devices=1):
        monkeypatch.setattr(
            torch.cuda, 'get_device_properties',
            lambda i: type('Card', (), dict(total_memory=memory * 2**30)))
        return auto._batch(config, task, size, 10**6, devices)[0]

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    assert on(8) == 2
    assert on(24) == 4
    assert on(80) == 16  # like 8 GPUs with 2 images each
    assert on(80, devices=8) == 2
    assert on(2) == 1

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    tiny = Config.fromfile(config_for('detection', 'tiny'))
    nano = Config.fromfile(config_for('detection', 'nano'))

    def on_cpu(memory, config, size, devices=1):
        monkeypatch.setattr(auto, 'available_memory', lambda: memory)
        return auto._batch(config, 'detection', size, 10**6, devices)

    # Measured: 18 GiB with two pictures, 10 with one (docs/performance.md).
    assert on_cpu(24, tiny, 'tiny') == (2, 'as in the config, on a CPU')
    assert on_cpu(16, tiny,
                  'tiny') == (1, 'about the most that fits into 16 GiB')
    assert on_cpu(48, tiny, 'tiny', devices=4)[0] == 1
    assert on_cpu(8, nano, 'nano')[0] == 16
    assert on_cpu(math.inf, tiny, 'tiny')[0] == 2


def test_weights_name_size_and_start(scenes, started, tmp_path):
    config = train(started, 'detection', scenes, '--out', tmp_path / 'a',
                   '--weights', 'weights:nano-scenes')
    assert config.load_from == 'weights:nano-scenes'
    pretrained = tmp_path / 'a pre-training'
    pretrained.mkdir()
    config.dump(pretrained / 'config.py')
    weights = pretrained / 'epoch_7.pth'
    torch.save(read_checkpoint('weights:nano-scenes'), weights)
    start = Start(str(pretrained))
    assert (start.path, start.size) == (str(weights), 'nano')
    with pytest.raises(UserError, match='has size nano.*--size'):
        run('train', 'detection', str(scenes), '--weights',
            'weights:nano-scenes', '--size', 'tiny', '--check')


def test_a_swin_of_another_library_starts_the_encoder(scenes, started,
                                                      tmp_path):
    ours = read_checkpoint('weights:nano-scenes')
    file = tmp_path / 'swin nano.pth'
    torch.save(from_glid(ours, 'microsoft').checkpoint, file)
    start = Start(str(file))
    assert (start.format, start.size) == ('microsoft', 'nano')
    config = train(started, 'detection', scenes, '--out', tmp_path / 'a',
                   '--weights', file)
    assert config.load_from is None
    assert config.model.backbone.init_cfg == dict(
        type='glid_mm.Pretrained', checkpoint=str(file), parts=('encoder', ))
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    model.init_weights()
    name = 'encoder.stages.3.blocks.1.mlp.fc1.weight'
    assert torch.equal(model.backbone.state_dict()[name],
                       ours['state_dict'][f'backbone.{name}'])


def test_settings_reach_the_config_or_are_refused(scenes, started, tmp_path,
                                                  capsys):
    config = train(started, 'detection', scenes, '--out', tmp_path, '--set',
                   'optim_wrapper.optimizer.lr=3e-4', 'train_cfg.max_iters=7',
                   'train_dataloader.batch_size=3',
                   'train_dataloader.num_workers=0')
    assert config.optim_wrapper.optimizer.lr == 3e-4
    assert config.train_cfg.max_iters == 7
    assert config.train_dataloader.batch_size == 3
    said = capsys.readouterr().out
    assert not config.train_dataloader.persistent_workers
    for line in ('batch of 3 pictures: --set',
                 'no worker process for reading pictures: --set',
                 'learning rate 0.0003: --set',
                 '7 steps, 3.5 passes over 6 pictures: --set'):
        assert line in said.splitlines()
    with pytest.raises(UserError, match='optim_wrapper.optimizer'):
        run('train', 'detection', str(scenes), '--check', '--set',
            'optim_wrapper.optimiser.lr=3e-4')


@pytest.mark.parametrize('verb', ['train', 'init'])
def test_a_refused_setting_leaves_nothing(scenes, tmp_path, verb):
    data = tmp_path / 'data'
    shutil.copytree(scenes / 'images/train', data / 'images')
    shutil.copytree(scenes / 'semantic_train', data / 'masks')
    (tmp_path / 'run').mkdir()
    where = ['train', 'semantic', data, '--out', tmp_path / 'run']
    if verb == 'init':
        where = [
            'init', 'semantic', '--data', data, '--out', tmp_path / 'run/a.py'
        ]
    with pytest.raises(UserError, match='nothing reads'):
        run(*map(str, where), '--val', '2', '--set', 'modle.x=1')
    assert not list((tmp_path / 'run').iterdir())


def test_services_record_a_run_if_they_are_installed(scenes, started, tmp_path,
                                                     monkeypatch):
    arguments = ('--out', tmp_path / 'run', '--log', 'wandb', 'mlflow')
    find = importlib.util.find_spec
    for installed in False, True:
        here = dict.fromkeys(('wandb', 'mlflow'), installed or None)
        monkeypatch.setattr(
            importlib.util, 'find_spec', lambda name, *args: here[name]
            if name in here else find(name, *args))
        if not installed:
            with pytest.raises(
                    MissingLibraryError, match='--log wandb.*pip install'):
                run('train', 'detection', str(scenes), *map(str, arguments))
            assert not (tmp_path / 'run').exists()
    config = train(started, 'detection', scenes, *arguments)
    assert [b.type for b in config.visualizer.vis_backends] == [
        'LocalVisBackend', 'TensorboardVisBackend', 'glid_mm.WandbTracker',
        'glid_mm.MLflowTracker'
    ]


def test_a_run_is_continued_and_never_overwritten(scenes, started, tmp_path):
    train(started, 'detection', scenes, '--out', tmp_path / 'run')
    before = (tmp_path / 'run' / 'config.py').read_text()
    with pytest.raises(UserError, match='glid resume'):
        run('train', 'detection', str(scenes), '--out', str(tmp_path / 'run'))
    assert (tmp_path / 'run' / 'config.py').read_text() == before


def test_a_config_of_ones_own(scenes, tmp_path):
    file = tmp_path / 'mine.py'
    arguments = ('init', 'detection', '--data', str(scenes), '--size', 'tiny',
                 '--out', str(file))
    run(*arguments)
    config = read_config(str(file), {})
    assert config.model.bbox_head.num_classes == len(
        config.train_dataloader.dataset.metainfo.classes)
    # Editing variables of the base configs would change nothing.
    for name in 'classes', 'data_root', 'metainfo', 'max_epochs':
        assert name not in config
    assert config.model.backbone.encoder.arch == 'tiny'
    with pytest.raises(UserError, match='already exists'):
        run(*arguments)
    with pytest.raises(UserError, match='.py'):
        run(*arguments[:-1], str(tmp_path))


def test_what_is_wrong_with_data_is_one_message(scenes, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='empty'):
        run('train', 'detection', str(tmp_path / 'empty'), '--check')
    lone = tmp_path / 'lone'
    shutil.copytree(scenes / 'annotations', lone / 'annotations')
    with pytest.raises(UserError, match='images'):
        run('train', 'detection', str(lone), '--check')
    with pytest.raises(UserError, match='unicorn'):
        run('train', 'detection', str(scenes), '--check', '--classes',
            'unicorn')
