"""Tiny models for instance and panoptic segmentation, and their data."""
import json
from pathlib import Path

from mmengine.registry import DATASETS, MODELS, init_default_scope

from ...nano import short_run

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
SCENES = {
    kind: f'{kind}/glid_nano_1xb16-7k_scenes-{kind}-128x128.py'
    for kind in ('instance', 'panoptic')
}

CLASSES = ('box', 'ball', 'cone', 'person', 'sky', 'wall', 'ground')


def config_of(kind, data_root, work_dir='unused', **changes):
    """A config of a tiny model on images of 64 pixels, without resizing."""
    config = short_run(CONFIGS / SCENES[kind], data_root, work_dir, **{
        'model.train_cfg.num_points': 512,
        **changes
    })
    for split in ('train', 'val', 'test'):
        settings = config[f'{split}_dataloader'].dataset
        settings.pipeline = [
            step for step in settings.pipeline if step.type not in ('Resize', )
        ]
    for evaluator in (config.val_evaluator, config.test_evaluator):
        if 'ann_file' in evaluator:
            evaluator.ann_file = str(data_root /
                                     'annotations/instances_val.json')
    return config


def build(config):
    """The model, and the training images without augmentation."""
    __import__('glid_mm.tasks.panoptic')
    init_default_scope('mmdet')
    settings = config.train_dataloader.dataset
    settings.pipeline = [
        step for step in settings.pipeline if step.type != 'RandomFlip'
    ]
    return MODELS.build(config.model), DATASETS.build(settings)


def changed(data_root, tmp_path, name, change):
    content = json.loads(
        (data_root / 'annotations' / f'{name}_train.json').read_text())
    change(content)
    path = tmp_path / 'changed.json'
    path.write_text(json.dumps(content))
    return path
