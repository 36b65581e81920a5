"""Batches of Scenes for a tiny detector."""
from pathlib import Path

import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from glid_mm.scenes import render_scene
from glid_mm.scenes.labels import instance_annotations
from ...nano import short_run

CONFIGS = Path(__file__).resolve().parents[3] / 'configs' / 'detection'


def boxes(*rows):
    """Ground truth from rows of x1, y1, x2, y2, label."""
    rows = torch.tensor(rows, dtype=torch.float).reshape(-1, 5)
    return InstanceData(bboxes=rows[:, :4], labels=rows[:, 4].long())


def scene(index, size=64):
    drawn = render_scene(0, 'train', index, size)
    image = torch.from_numpy(drawn.image).permute(2, 0, 1)
    return image, boxes(*[(x, y, x + w, y + h, a['category_id'] - 1)
                          for a in instance_annotations(drawn)
                          for x, y, w, h in [a['bbox']]])


def batch(model, images, truth, training=True):
    samples = []
    for index, (image, instances) in enumerate(zip(images, truth)):
        shape = tuple(image.shape[1:])
        samples.append(
            DetDataSample(
                metainfo=dict(
                    img_shape=shape,
                    ori_shape=shape,
                    scale_factor=(1., 1.),
                    img_path=f'{index}.jpg'),
                gt_instances=instances))
    return model.data_preprocessor(
        dict(inputs=list(images), data_samples=samples), training)


def predict(model, images):
    data = batch(model, images, [boxes()] * len(images), False)
    with torch.no_grad():
        samples = model.eval()(**data, mode='predict')
    return [sample.pred_instances for sample in samples]


def small_run(data_root, work_dir, **changes):
    """A short run of the Scenes config."""
    annotations = str(data_root / 'annotations' / 'instances_val.json')
    return short_run(
        CONFIGS / 'glid_nano_1xb16-7k_scenes-128x128.py', data_root, work_dir,
        **{
            'model.test_cfg.max_per_img': 20,
            'val_evaluator.ann_file': annotations,
            'test_evaluator.ann_file': annotations,
            **changes
        })


def run(config):
    from mmengine.registry import RUNNERS
    return RUNNERS.build(config)
