from pathlib import Path

import pytest
from mmengine.config import Config

from glid_mm.errors import UserError
from glid_mm.study import Arm, Start, beside, plan_runs, read_start

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/detection/glid_nano_1xb16-7k_scenes-128x128.py'


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / 'glid.pth'
    path.write_bytes(b'')
    return str(path)


def plan(out, *arms, seeds=(0, ), lrs=(None, ), config=None):
    config = config or Config.fromfile(CONFIG)
    lrs = {arm: lrs for arm in arms}
    return plan_runs({'': config}, out, arms, seeds, lrs)


def test_starts_are_read(weights):
    assert read_start('none') == Start('none')
    assert read_start('all', weights) == Start('all', weights)
    assert read_start('encoder+neck', weights).parts == ('encoder', 'neck')
    assert read_start(f'swin={weights}:encoder') == Start(
        'swin', weights, ('encoder', ))


@pytest.mark.parametrize('text, words', [
    ('head', "'head' is not a part of a model"),
    ('all', 'Give --weights'),
    ('swin=missing.pth:encoder', 'no checkpoint missing.pth'),
])
def test_starts_that_are_none_are_refused(text, words):
    with pytest.raises(UserError, match=words):
        read_start(text)


def test_runs_differ_in_what_is_studied_alone(weights, tmp_path):
    common = Config.fromfile(CONFIG)
    key = 'model.backbone.decoder.num_layers'
    arm = Arm(read_start('encoder', weights), .1, ((key, '2'), ))
    run, = plan(tmp_path / 'out', arm, seeds=[5], lrs=[3e-4])
    config = Config.fromfile(run.config)
    assert config.model.backbone.init_cfg == dict(
        type='glid_mm.Pretrained', checkpoint=weights, parts=('encoder', ))
    assert config.model.backbone.decoder.num_layers == 2
    assert config.optim_wrapper.optimizer.lr == 3e-4
    assert config.randomness.seed == 5
    wrapped = config.train_dataloader.dataset
    assert wrapped.type == 'glid_mm.Fraction'
    assert wrapped.fraction == .1 and wrapped.seed == 5
    assert wrapped.dataset == common.train_dataloader.dataset
    # The rest is unchanged.
    del config.model.backbone['init_cfg']
    config.model.backbone.decoder.pop('num_layers')
    common.model.backbone.decoder.pop('num_layers', None)
    assert config.model == common.model
    for name in ('train_cfg', 'param_scheduler', 'val_dataloader'):
        assert config[name] == common[name]


def test_the_base_changes_nothing(tmp_path):
    run, = plan(tmp_path, Arm(Start('none')))
    config, common = map(Config.fromfile, (run.config, CONFIG))
    assert config.model == common.model
    assert config.train_dataloader == common.train_dataloader
    assert config.optim_wrapper == common.optim_wrapper


def test_runs_come_seed_by_seed_in_folders_of_their_own(weights, tmp_path):
    arms = [Arm(Start('none')), Arm(read_start('all', weights), .1)]
    runs = plan(tmp_path, *arms, seeds=(0, 1))
    assert [run.seed for run in runs] == [0, 0, 1, 1]
    assert len({run.folder for run in runs}) == 4
    assert runs[1].folder == tmp_path / 'all-10pc-of-the-images' / 'seed-0'
    assert str(Arm(Start('none'), 316.)) == 'none, 316 images'


def test_a_folder_of_another_study_is_refused(tmp_path):
    plan(tmp_path, Arm(Start('none')))
    plan(tmp_path, Arm(Start('none')))  # the same study again
    config = Config.fromfile(CONFIG)
    config.train_cfg.max_iters = 7
    with pytest.raises(UserError, match='from another study'):
        plan(tmp_path, Arm(Start('none')), config=config)


def test_another_model_is_an_arm_of_the_same_cell(weights, tmp_path):
    own, other = map(Config.fromfile, (CONFIG, CONFIG))
    other.model.backbone.num_queries = 7
    arms = [
        Arm(Start('none')),
        Arm(
            beside('configs/other_nano_1xb16-7k_scenes.py',
                   read_start('all', weights)))
    ]
    assert arms[0].cell == arms[1].cell
    assert str(arms[1]) == 'other_nano: all'
    lrs = {arm: [None] for arm in arms}
    configs = {'': own, 'configs/other_nano_1xb16-7k_scenes.py': other}
    runs = plan_runs(configs, tmp_path, arms, [0], lrs)
    first, second = (Config.fromfile(run.config) for run in runs)
    assert first.model == own.model
    assert second.model.backbone.num_queries == 7
    assert second.model.backbone.init_cfg.parts is None
    assert first.train_dataloader == second.train_dataloader
