"""Tiny models of all tasks, from the configs of Scenes."""
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from glid_mm.models.encoders import swin
from glid_mm.scenes import render_scene
from ..test_tasks.mixtures import CONFIGS, TASKS

HEADS = dict(
    semantic='decode_head',
    instance='panoptic_head',
    panoptic='panoptic_head',
    detection='bbox_head',
    depth='decode_head',
    pose='head')
# Few queries, so that no class wins everywhere.
FEW = {'semantic': {'model.backbone.num_queries': 12}}
# Export time grows with the number of operators.
MICRO = dict(dims=16, depths=(2, 1, 1, 1), heads=(1, 1, 2, 2), window=4)


def tiny(task, monkeypatch, **changes):
    """A model of a task with decisive random weights, and its config."""
    monkeypatch.setitem(swin.ARCHITECTURES, 'micro', MICRO)
    config = Config.fromfile(CONFIGS / TASKS[task])
    head = f'model.{HEADS[task]}'
    config.merge_from_dict({
        'model.backbone.encoder.arch':
        'micro',
        'model.backbone.neck':
        dict(channels=32, num_layers=1),
        'model.backbone.decoder':
        dict(dims=32, num_layers=1, num_heads=2, ffn_dims=32),
        f'{head}.in_channels':
        32,
        **({} if task == 'detection' else {
               f'{head}.mask_channels': 32
           }),
        **FEW.get(task, {}),
        **changes
    })
    init_default_scope(config.default_scope)
    torch.manual_seed(0)
    model = MODELS.build(config.model).eval()
    make_decisive(model, HEADS[task])
    return model, config


def make_decisive(model, head):
    """Make outputs differ between queries and between pixels."""
    for name, weight in model.named_parameters():
        if name.endswith('queries.embeddings'):
            torch.nn.init.normal_(weight, std=4.)
        elif weight.dim() > 1:
            gain = 8. if head in name.split('.') else 1.5
            std = gain * weight[0].numel()**-.5
            torch.nn.init.normal_(weight, std=std)


def letterboxed(size=(128, 128)):
    """Images of several shapes, none larger than ``size``."""
    height, width = size
    shapes = (height, width), (height, width - 37), (height - 50,
                                                     width), (height - 29,
                                                              width - 31)
    return [
        picture[:rows, :columns]
        for picture, (rows, columns) in zip(pictures(4), shapes)
    ]


def pictures(count=3, side=128):
    """``(N, H, W, 3)`` uint8, RGB."""
    return np.stack(
        [render_scene(0, 'val', i, side).image for i in range(count)])
