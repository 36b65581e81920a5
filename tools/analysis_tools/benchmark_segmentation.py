"""Time segmentation at 640×640: GLID, Mask2Former and ×Net.

Training steps (forward, matching, backward and AdamW) and inference (scores of
every pixel, or class and mask logits) on random images of sixteen squares.
Semantic models have the configs for ADE20K, panoptic models those for COCO,
with Swin-B or ConvNeXt-B; names that end in ``-t`` have Swin-T's sizes, with
windows of 12 like Swin-B. Ratios are relative to the first model.
"""
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData, PixelData
from step_timing import Inference, PixelInference, Step, run

from glid_mm.engine import launch
from glid_mm.errors import UserError

OURS = Path(__file__).resolve().parents[2] / 'configs'
SIDE, SQUARES = 640, 4
SHAPE = dict.fromkeys(
    ('img_shape', 'pad_shape', 'ori_shape', 'batch_input_shape'), (SIDE, SIDE))
NAMES = ('mask2former', 'glid', 'mask2former-t', 'glid-t', 'xnet')


def theirs(library, name):
    folder = Path(find_spec(library).origin).parent / '.mim' / 'configs'
    return folder / 'mask2former' / name


class Training(Step):
    """A training step of semantic segmentation; see :class:`Step`."""
    scope, head = 'mmseg', 'decode_head'
    configs = dict(
        mask2former=(
            'mask2former_swin-b-in22k-384x384-pre_8xb2-160k_ade20k-640x640.py'
        ),
        glid='segmentation/glid_swin-b_8xb2-160k_ade20k-640x640.py',
        xnet='segmentation/xnet_convnext-b_8xb2-160k_ade20k-640x640.py')
    classes = 150

    @classmethod
    def prepare(cls):
        import glid_mm.tasks.panoptic  # noqa: F401
        import glid_mm.tasks.segmentation  # noqa: F401
        init_default_scope(cls.scope)

    def build(self, name):
        method, _, small = name.partition('-')
        if method not in self.configs:
            raise UserError(f'{name} has no config for this. Choose from '
                            f'{", ".join(self.configs)}')
        path = self.configs[method]
        ours = method != 'mask2former'
        path = OURS / path if ours else theirs(self.scope, path)
        model = Config.fromfile(path).model
        model.backbone.pop('init_cfg', None)
        if small and ours:
            model.backbone.encoder.arch = 'tiny'
        elif small:
            model.backbone.update(
                embed_dims=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24])
            model[self.head].in_channels = [96, 192, 384, 768]
        # CPUs have no synchronized batch norm.
        model = revert_sync_batchnorm(MODELS.build(model))
        return model, (SIDE, SIDE)

    def draw(self):
        """Draw random labels: sixteen squares of some class."""
        from mmseg.structures import SegDataSample
        samples = []
        for _ in self.images:
            labels = torch.randint(
                self.classes, (1, SQUARES, SQUARES), device=self.device)
            for axis in (1, 2):
                labels = labels.repeat_interleave(SIDE // SQUARES, axis)
            sample = SegDataSample(metainfo=SHAPE)
            sample.gt_sem_seg = PixelData(data=labels)
            samples.append(sample)
        return samples


class Prediction(PixelInference, Training):
    """Scores of every pixel; see :class:`Step`."""


class PanopticTraining(Training):
    """A training step of panoptic segmentation; see :class:`Step`."""
    scope, head = 'mmdet', 'panoptic_head'
    configs = dict(
        mask2former=(
            'mask2former_swin-b-p4-w12-384_8xb2-lsj-50e_coco-panoptic.py'),
        glid='panoptic/glid_swin-b_8xb2-lsj-50e_coco-panoptic.py')
    classes = 80

    def draw(self):
        """Draw sixteen square objects."""
        from mmdet.structures import DetDataSample
        from mmdet.structures.mask import BitmapMasks
        side = SIDE // SQUARES
        places = np.arange(SQUARES**2).reshape(SQUARES, SQUARES)
        squares = places.repeat(side, 0).repeat(side, 1)
        masks = (squares == places.reshape(-1, 1, 1)).astype(np.uint8)
        samples = []
        for _ in self.images:
            sample = DetDataSample(metainfo=SHAPE)
            labels = torch.randint(
                self.classes, (len(masks), ), device=self.device)
            sample.gt_instances = InstanceData(
                labels=labels, masks=BitmapMasks(masks, SIDE, SIDE))
            sample.ignored_instances = InstanceData(
                labels=labels[:0], masks=BitmapMasks(masks[:0], SIDE, SIDE))
            # mmdet reads stuff from this map, which has none.
            sample.gt_sem_seg = PixelData(
                sem_seg=torch.full((1, SIDE, SIDE), 255, device=self.device))
            samples.append(sample)
        return samples


class PanopticPrediction(Inference, PanopticTraining):
    """Logits of queries, the inputs of the fusion head that both share."""

    def forward(self):
        with self.autocast():
            return self.model.panoptic_head.predict(
                self.model.extract_feat(self.images), self.samples)


def main():
    run(__doc__,
        NAMES,
        default=NAMES[:2],
        training=Training,
        inference=Prediction,
        panoptic_training=PanopticTraining,
        panoptic_inference=PanopticPrediction)


if __name__ == '__main__':
    launch.main(main)
