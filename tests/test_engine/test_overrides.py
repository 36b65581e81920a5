"""Command-line settings are parsed as meant; unused settings are refused."""
import argparse
import copy
import re
import shlex
from functools import lru_cache
from pathlib import Path

import pytest
from mmengine.config import Config

from glid_mm.checkpoint.report import start_from
from glid_mm.engine.launch import add_common_arguments, read_config
from glid_mm.engine.overrides import apply_overrides
from glid_mm.errors import UserError

for host in ('mmdet', 'mmpose', 'mmpretrain', 'mmseg'):
    pytest.importorskip(host)

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(
    str(path.relative_to(ROOT / 'configs'))
    for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)
SEGMENTATION = 'segmentation/glid_nano_1xb16-2k_scenes-128x128.py'
POSE = 'pose/glid_swin-b_8xb64-210e_coco-256x192.py'

# Something reads each of these; a second value of a setting is in another row.
EVERYWHERE = [
    '''
    train_dataloader.batch_size=3 train_dataloader.prefetch_factor=2
    train_dataloader.dataset.data_root=/x train_dataloader.dataset.indices=4
    train_dataloader.sampler.shuffle=False train_dataloader.sampler.seed=1
    train_dataloader.dataset.pipeline.0.backend_args=None
    train_cfg.val_interval=3 train_cfg.dynamic_intervals=[(1,1)]
    default_hooks.checkpoint.interval=2 default_hooks.finite_loss=None
    default_hooks.checkpoint.published_keys=a,b
    default_hooks.logger.ignore_last=False default_hooks.logger.priority=LOW
    default_hooks.runtime_info=None default_hooks.ema.type=EMAHook
    default_hooks.ema.momentum=1e-3 optim_wrapper.clip_grad.max_norm=1
    optim_wrapper.clip_grad.error_if_nonfinite=True
    optim_wrapper.optimizer.lr=1e-3 optim_wrapper.optimizer.betas=[0.9,0.95]
    optim_wrapper.optimizer.fused=True optim_wrapper.accumulative_counts=2
    optim_wrapper.type=AmpOptimWrapper optim_wrapper.loss_scale=dynamic
    optim_wrapper.paramwise_cfg.layer_decay=.9 param_scheduler.0.end=7
    param_scheduler.0.verbose=True randomness.seed=5
    randomness.deterministic=True env_cfg.cudnn_benchmark=True
    env_cfg.mp_cfg.mp_start_method=spawn env_cfg.dist_cfg.backend=gloo
    env_cfg.dist_cfg.timeout=10 env_cfg.resource_limit=100 log_level=DEBUG
    log_processor.window_size=10 load_from=x.pth resume=True work_dir=y
    experiment_name=z find_unused_parameters=True sync_bn=torch
    model_wrapper_cfg.find_unused_parameters=True compile.backend=eager
    auto_scale_lr.enable=True auto_scale_lr.base_batch_size=8
    model.backbone.init_cfg.type=glid_mm.Pretrained
    model.backbone.init_cfg.checkpoint=x.pth
    model.backbone.encoder.drop_path_rate=.1
    model.backbone.encoder.window_size=7 model.backbone.neck.num_layers=2
    model.backbone.decoder.value_positions=True
    model.backbone.num_queries=30 model.backbone.compile=True
    model.backbone.recompute=True model.data_preprocessor.mean=1,2,3
    model.init_cfg=None''',
    '''
    runner_type=Runner optim_wrapper.clip_grad=None param_scheduler=None
    optim_wrapper.constructor=DefaultOptimWrapperConstructor compile=True
    custom_hooks="[dict(type='EMAHook', momentum=1e-3, priority='HIGH')]"
    default_hooks.ema="dict(type='EMAHook', strict_load=True)"''',
]
TESTED = '''
    val_dataloader.batch_size=2 test_dataloader.num_workers=0 val_cfg=None
    test_cfg.fp16=True val_evaluator=None test_evaluator.prefix=x
    visualizer.vis_backends.0.type=TensorboardVisBackend
    visualizer.vis_backends.0.save_dir=x default_hooks.visualization.interval=3
    default_hooks.checkpoint.save_best=None visualizer.save_dir=x
    test_dataloader.dataset.indices=3 test_dataloader.dataset.lazy_init=True
    test_dataloader.dataset.metainfo.classes=a,b'''
TASKS = dict(
    pretrain='''
    model.mask_ratio=.6 model.images_per_mask=1 model.head.norm_pix=True
    default_hooks.reconstruction.interval=3 train_cfg.max_epochs=3
    train_dataloader.dataset.pipeline.0.canvas=342
    param_scheduler.1.T_max=3 param_scheduler.1.eta_min=0
    param_scheduler.0.convert_to_iter_based=True
    model.data_preprocessor.non_blocking=False''',
    segmentation='''
    model.test_cfg.mode=slide model.test_cfg.crop_size=(64,64)
    model.test_cfg.stride=(32,32) model.decode_head.num_classes=3
    model.decode_head.ignore_index=0 model.decode_head.scale_logits=False
    model.decode_head.train_cfg.num_points=100
    model.data_preprocessor.seg_pad_val=0 test_evaluator.ignore_index=0
    test_evaluator.iou_metrics=mIoU,mDice test_evaluator.format_only=True
    train_dataloader.dataset.reduce_zero_label=False
    train_dataloader.dataset.data_prefix.img_path=a
    train_dataloader.dataset.img_suffix=.png train_cfg.max_iters=3
    train_dataloader.dataset.pipeline.1.ignore_index=0
    default_hooks.labels.num_maps=3''',
    detection='''
    model.bbox_head.one_to_many_queries=3 model.bbox_head.reference_points=1
    model.test_cfg.max_per_img=100 model.train_cfg=None
    test_evaluator.classwise=True test_evaluator.outfile_prefix=x
    train_dataloader.dataset.filter_cfg.min_size=3
    train_dataloader.dataset.ann_file=x
    model.data_preprocessor.pad_size_divisor=32
    train_dataloader.dataset.backend_args.backend=petrel''',
    depth='''
    model.test_cfg.flip=False model.test_cfg.stride=(3,3)
    model.decode_head.min_depth=.1 model.decode_head.auxiliary_weight=.3
    test_evaluator.crop_type=None test_evaluator.max_depth_eval=3
    train_dataloader.dataset.ann_file=x''',
    pose='''
    model.test_cfg.flip_test=False model.test_cfg.output_heatmaps=True
    model.head.loss.beta=.3 model.head.decoder.sigma=3
    test_dataloader.dataset.bbox_file=None test_evaluator.outfile_prefix=x
    test_evaluator.nms_mode=soft_oks_nms default_hooks.visualization.enable=1
    default_hooks.visualization.kpt_thr=.1
    train_dataloader.dataset.filter_cfg.bbox_score_thr=.1''',
    instance='''
    model.panoptic_head.num_things_classes=3 model.test_cfg.max_per_image=9
    model.panoptic_head.scale_logits=False model.train_cfg.num_points=100
    test_evaluator.classwise=True test_evaluator.metric=segm
    train_dataloader.dataset.filter_cfg.min_size=3''',
    panoptic='''
    model.panoptic_head.num_stuff_classes=3 model.test_cfg.iou_thr=.7
    model.test_cfg.filter_low_score=False model.train_cfg.num_points=100
    train_dataloader.dataset.ann_file=x''')


def options(text):
    parser = argparse.ArgumentParser()
    add_common_arguments(parser)
    return parser.parse_args(['config', '--cfg-options',
                              *shlex.split(text)]).cfg_options


def parse(value):
    return options(shlex.quote(f'key={value}'))['key']


@lru_cache
def _config(path):
    return Config.fromfile(ROOT / 'configs' / path)


def overridden(path, text):
    config = copy.deepcopy(_config(path))
    apply_overrides(config, options(text))
    return config


def told(path, text):
    with pytest.raises(UserError) as caught:
        overridden(path, text)
    return str(caught.value)


@pytest.mark.parametrize('text', [
    'my photos', '/data/my photos/', 'a = b', '/a/my photos, new'
])  # yapf: disable
def test_texts_keep_their_blanks(text):
    assert parse(text) == text


def test_paths_that_are_there_keep_their_commas(tmp_path):
    folder = tmp_path / 'red,green'
    folder.mkdir()
    assert parse(str(folder)) == str(folder)


def test_numbers_are_not_files(tmp_path, monkeypatch):
    (tmp_path / '8').mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse('8') == 8
    assert parse('"8"') == '8'


def test_home_is_found(monkeypatch):
    monkeypatch.setenv('HOME', '/home/someone')
    assert parse('~/images') == '/home/someone/images'


@pytest.mark.parametrize('text,value', [
    ('3', 3), ('1e-3', .001), ('None', None), ('true', True), ('a', 'a'),
    ('a,b', ['a', 'b']), ('1, 2', [1, 2]), ('[a, b]', ['a', 'b']),
    ('(1,2)', (1, 2)), ('(1)', (1, )), ('[a/b, c-d]', ['a/b', 'c-d']),
    ("'a','b'", ['a', 'b']), ('[(1, 2), [3]]', [(1, 2), [3]])
])  # yapf: disable
def test_all_else_is_as_mmengine_reads_it(text, value):
    assert parse(text) == value


@pytest.mark.parametrize('text,value', [
    ("dict(type='glid_mm.Pretrained', checkpoint='a b, c.pth')",
     dict(type='glid_mm.Pretrained', checkpoint='a b, c.pth')),
    ("{'type': 'A', 'x': {'y': -1e-3, 'z': (1, [None, True])}}",
     dict(type='A', x=dict(y=-.001, z=(1, [None, True])))),
    ("[dict(type='EMAHook'), dict(a=dict(b='c'))]",
     [dict(type='EMAHook'), dict(a=dict(b='c'))]),
    ('dict(type=glid_mm.Pretrained, on=true, off=none)',
     dict(type='glid_mm.Pretrained', on=True, off=None)),
    ('dict()', {}), ("'3'", '3'), ('"two words"', 'two words'),
    ("['a b', 'c,d']", ['a b', 'c,d']),
])  # yapf: disable
def test_groups_and_quoted_texts_are_what_they_spell(text, value):
    assert parse(text) == value


@pytest.mark.parametrize('text', [
    'key', '=3', 'a..b=3', 'key=dict(a=/x.pth)', 'key="dict(a=1"',
    'key="dict(a=open(\'x\'))"', 'key="{1: [].append}"', 'key="[dict(1)]"',
    'key=[1^(2,3)]', 'key=[1,(2'
])  # yapf: disable
def test_what_cannot_be_read_is_refused_in_one_line(text, capsys):
    with pytest.raises(SystemExit):
        options(text)
    message = capsys.readouterr().err.splitlines()[-1]
    assert 'argument --cfg-options: ' in message


@pytest.mark.parametrize(
    'path', [p for p in CONFIGS if not p.startswith('multitask/')])
def test_settings_that_something_reads_are_taken(path):
    task = path.split('/')[0]
    rows = [
        *EVERYWHERE, TASKS[task], *([] if task == 'pretrain' else [TESTED])
    ]
    for row in rows:
        given = options(row)
        # Skip settings that encoder-only models, other backbones and other
        # metrics do not have.
        backbone = _config(path).model.backbone.type
        absent = []
        if backbone != 'glid_mm.GLID':
            absent += [
                'model.backbone.neck', 'model.backbone.decoder',
                'model.backbone.num_queries', 'model.decode_head',
                'model.panoptic_head', 'model.train_cfg', 'model.test_cfg'
            ]
        if not backbone.startswith('glid_mm.GLID'):
            absent.append('model.backbone.')
        if 'VOC' in str(_config(path).get('test_evaluator')):
            absent.append('test_evaluator.')
        given = {
            name: value
            for name, value in given.items()
            if not name.startswith(tuple(absent))
        }
        config = copy.deepcopy(_config(path))
        apply_overrides(config, given)
        for name, value in given.items():
            node = config
            for part in name.split('.'):
                node = node[int(part) if isinstance(node, list) else part]
            assert node == value, name


@pytest.mark.parametrize('path',
                         [p for p in CONFIGS if p.startswith('multitask/')])
def test_settings_of_mixtures_are_taken(path):
    task = next(iter(_config(path).model.tasks))
    config = overridden(
        path, f'''
        train_cfg.max_iters=3 train_dataloader.batch_size=6 randomness.seed=5
        optim_wrapper.optimizer.lr=1e-3 model.loss_weights.{task}=.5
        default_hooks.checkpoint.save_best=None
        model.backbone.encoder.drop_path_rate=.1
        model.tasks.{task}.backbone.num_queries=9
        train_dataloader.dataset.tasks.{task}.data_root=/x''')
    assert config.model.tasks[task].backbone.num_queries == 9
    assert config.train_dataloader.dataset.tasks[task].data_root == '/x'


@pytest.mark.parametrize('path,text,near', [
    (SEGMENTATION, 'max_iters=3', 'train_cfg.max_iters?'),
    (POSE, 'max_iters=3', 'train_cfg.max_epochs?'),
    (POSE, 'train_cfg.max_iters=3', 'train_cfg.max_epochs?'),
    (POSE, 'trainn_cfg.max_epochs=3', 'train_cfg.max_epochs?'),
    (POSE, 'trainn_cfg="dict(max_epochs=3)"', 'train_cfg?'),
    (POSE, 'lr=1e-3', 'optim_wrapper.optimizer.lr?'),
    (POSE, 'optimizer.lr=1e-3', 'optim_wrapper.optimizer.lr?'),
    (POSE, 'data_root=/x', 'train_dataloader.dataset.data_root or '),
    (POSE, 'data_preprocessor.mean=0', 'model.data_preprocessor.mean?'),
    (POSE, 'train_pipeline.1.padding=2',
     'train_dataloader.dataset.pipeline.1.padding or '),
    (POSE, 'train_dataloader.batchsize=3', 'train_dataloader.batch_size?'),
    (POSE, 'train_dataloader.dataset.pipeline.1.pading=3',
     'train_dataloader.dataset.pipeline.1.padding?'),
    (POSE, 'model.backbone.encoder.drop_path=.1',
     'model.backbone.encoder.drop_path_rate?'),
    (POSE, 'model.backbone.num_querys=3', 'model.backbone.num_queries?'),
    (POSE, 'model.testcfg.flip_test=0', 'model.test_cfg.flip_test?'),
    (POSE, 'default_hooks.chekpoint.interval=3',
     'default_hooks.checkpoint.interval?'),
    (POSE, 'default_hooks.new.interval=3', 'a new hook needs a type'),
    (POSE, 'model.backbone.init_cfg='
     '"dict(type=\'glid_mm.Pretrained\', checkpont=\'x.pth\')"',
     'model.backbone.init_cfg.checkpoint?'),
    (POSE, 'param_scheduler.end=3', 'param_scheduler is a list of '),
    (POSE, 'param_scheduler.2.end=3', 'param_scheduler is a list of '),
    (POSE, 'log_level.x=3', "log_level is 'INFO', not a group"),
    (POSE, 'load_from.checkpoint=3', 'nothing reads load_from.checkpoint'),
    (POSE, 'model.backbone.encoder=large',
     'such as model.backbone.encoder.arch=…'),
    (POSE, 'custom_imports.imports=mine', 'nothing reads custom_imports'),
])  # yapf: disable
def test_settings_that_nothing_reads_are_refused_with_the_nearest(
        path, text, near):
    message = told(path, text)
    assert near in message and '\n' not in message
    assert text.split('=')[0] in message


def test_variables_of_a_config_may_be_read_by_code_of_its_own():
    config = Config(
        dict(
            custom_imports=dict(imports=['my_hooks']),
            default_scope='mmengine',
            threshold=3,
            max_iters=3,
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=3)))
    apply_overrides(config, dict(threshold=4))
    assert config.threshold == 4
    with pytest.raises(UserError, match='mean train_cfg.max_iters'):
        apply_overrides(config, dict(max_iters=4))


def test_settings_can_go_where_there_is_none():
    config = overridden(
        SEGMENTATION, 'model.backbone.init_cfg=None load_from=None '
        'model.backbone.neck.num_layers=1')
    apply_overrides(
        config, {'model.backbone.init_cfg': dict(type='glid_mm.Pretrained')})
    assert config.model.backbone.init_cfg.type == 'glid_mm.Pretrained'
    assert config.model.backbone.neck.channels == 96


def test_advice_of_messages_can_be_pasted():
    advice = start_from(['encoder', 'neck'], 'my weights/x.pth')
    option, text = shlex.split(advice)
    assert option == '--cfg-options'
    config = overridden(SEGMENTATION, shlex.quote(text))
    assert config.model.backbone.init_cfg == dict(
        type='glid_mm.Pretrained',
        checkpoint='my weights/x.pth',
        parts=('encoder', 'neck'))


def commands():
    """Commands with ``--cfg-options`` in the documentation."""
    pages = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
    for page in pages:
        for block in re.findall(r'```\w*\n(.*?)```', page.read_text(), re.S):
            for line in block.replace('\\\n', ' ').splitlines():
                if '--cfg-options' in line:
                    yield page.stem, line


@pytest.mark.parametrize('page,line', list(commands()))
def test_commands_of_the_documentation_are_taken(page, line):
    before, _, text = line.partition('--cfg-options')
    text = ' '.join(text.split(' --')[0].replace('…', 'run').split())
    named = re.search(r'configs/(\S+\.py)', before)
    path = named[1] if named and named[1] in CONFIGS else {
        'pose': POSE,
        'depth': 'depth/glid_swin-b_8xb2-38k_nyu-416x544.py',
        'detection': 'detection/glid_swin-b_8xb2-50e_coco.py'
    }.get(page, SEGMENTATION)
    overridden(path, text)


def test_a_config_that_is_not_there_is_named():
    with pytest.raises(UserError, match='there is no config none.py'):
        read_config('none.py', {})
