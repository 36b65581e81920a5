"""Batches of Scenes for a tiny depth estimator."""
from pathlib import Path

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from glid_mm.scenes import render_scene
from ...nano import depth_estimator, short_run

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / 'configs' / 'depth'
SCENES = CONFIGS / 'glid_nano_1xb16-14k_scenes-depth-128x128.py'


def scenes(count, first=0):
    """Images and depth in metres."""
    drawn = [render_scene(0, 'train', first + i, 64) for i in range(count)]
    return ([torch.from_numpy(s.image).permute(2, 0, 1) for s in drawn],
            [torch.from_numpy(s.depth_mm.astype(np.float32)) / 1000
             for s in drawn])  # yapf: disable


def estimator(**kwargs):
    """A model with different queries, so that depth is not constant."""
    torch.manual_seed(0)
    model = depth_estimator(**kwargs)
    model.backbone.queries.embeddings.data.normal_()
    return model


def batch(model, images, depths, training=True):
    samples = []
    for index, (image, depth) in enumerate(zip(images, depths)):
        shape = tuple(image.shape[1:])
        sample = SegDataSample(
            metainfo=dict(
                img_shape=shape,
                ori_shape=shape,
                depth_map_path=f'{index}.png'))
        sample.set_data(dict(gt_depth_map=PixelData(data=depth[None])))
        samples.append(sample)
    return model.data_preprocessor(
        dict(inputs=list(images), data_samples=samples), training)


def predict(model, images):
    depths = [torch.zeros(image.shape[1:]) for image in images]
    with torch.no_grad():
        answers = model.eval()(
            **batch(model, images, depths, False), mode='predict')
    return [answer.pred_depth_map.data[0] for answer in answers]


def small_run(data_root, work_dir, **changes):
    """A short run of the Scenes config."""
    return short_run(SCENES, data_root, work_dir, **{
        'model.backbone.num_queries': 8,
        **changes
    })
