"""Small mixtures of tasks on Scenes."""
from pathlib import Path

from mmengine.config import Config

from glid_mm.tasks.multitask import mixture

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
TASKS = dict(
    semantic='segmentation/glid_nano_1xb16-2k_scenes-128x128.py',
    instance='instance/glid_nano_1xb16-7k_scenes-instance-128x128.py',
    panoptic='panoptic/glid_nano_1xb16-7k_scenes-panoptic-128x128.py',
    detection='detection/glid_nano_1xb16-7k_scenes-128x128.py',
    depth='depth/glid_nano_1xb16-14k_scenes-depth-128x128.py',
    pose='pose/glid_nano_1xb16-16k_scenes-128x96.py')
# Two decoder layers are enough for queries to see each other.
BACKBONE = dict(
    type='glid_mm.GLID',
    encoder=dict(arch='nano'),
    neck=dict(channels=96, num_layers=2),
    decoder=dict(dims=192, num_layers=2, num_heads=6, ffn_dims=768))
TABLES = [['semantic', 'instance', 'panoptic', 'depth', 'pose'], ['detection']]


def single(task, data):
    """Changes to a task's config: its data, no workers, images of 64 px."""
    loader = dict(
        num_workers=0,
        persistent_workers=False,
        dataset=dict(data_root=str(data)))
    changes = dict(
        train_dataloader=loader,
        val_dataloader=dict(loader, batch_size=2),
        test_dataloader=dict(loader, batch_size=2))
    if task in ('instance', 'detection'):
        file = str(data / 'annotations' / 'instances_val.json')
        changes['val_evaluator'] = changes['test_evaluator'] = dict(
            ann_file=file)
    small = {2: dict(scale=(64, 64))}
    pipeline = dict(
        semantic={
            **small, 3: dict(crop_size=(64, 64))
        },
        instance=small,
        panoptic=small,
        detection=small).get(task, {})
    flat = {
        f'train_dataloader.dataset.pipeline.{i}.{key}': value
        for i, step in pipeline.items()
        for key, value in step.items()
    }
    return dict(_base_=TASKS[task], **changes), flat


def mixed(data, tasks=tuple(TASKS), **settings):
    """The composed part of a mixture's config."""
    parts, flat = {}, {}
    for task in tasks:
        parts[task], own = single(task, data)
        flat.update({
            key.replace('dataset.', f'dataset.tasks.{task}.', 1): value
            for key, value in own.items()
        })
    tables = [[t for t in table if t in tasks] for table in TABLES]
    config = Config(
        mixture(
            str(CONFIGS),
            parts,
            model=dict(
                backbone=BACKBONE,
                tables=[table for table in tables if table])))
    config.merge_from_dict({**flat, **settings})
    return config


def run_config(data, work_dir, tasks=('semantic', 'pose'), steps=4, **changes):
    """A config that trains a mixture for a few steps with batches of four."""
    config = Config.fromfile(CONFIGS / '_base_/multitask_runtime.py')
    schedule = Config.fromfile(CONFIGS / '_base_/schedules/multitask_nano.py')
    for key in ('optim_wrapper', 'param_scheduler', 'train_cfg'):
        config[key] = schedule[key]
    config.merge_from_dict(mixed(data, tasks).to_dict())
    config.merge_from_dict({
        'work_dir': str(work_dir),
        'log_level': 'WARNING',
        'train_cfg.max_iters': steps,
        'train_cfg.val_interval': steps,
        'train_dataloader.batch_size': 4,
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        **changes,
    })
    return config
