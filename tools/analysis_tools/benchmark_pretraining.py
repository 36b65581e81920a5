"""Time whole steps of pre-training: GLID and other methods.

Forward, backward and AdamW on random images. Ratios are relative to the first
model. GLID draws and plans new masks in every step; with ``--plan-ahead`` this
is not timed.
"""
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from step_timing import Step, run

from glid_mm.engine import launch
from glid_mm.tasks.pretraining.plan_ahead import move_plan

OURS = (
    Path(__file__).resolve().parents[2] / 'configs' / 'pretrain' /
    'glid_swin-b_8xb256-amp-coslr-600e_in1k-192px.py')
# Name -> side of the images, and the model of the method's own config for
# ImageNet-1k (mmpretrain's for the peers).
METHODS = dict(
    simmim=(192,
            dict(
                type='SimMIM',
                backbone=dict(
                    type='SimMIMSwinTransformer',
                    arch='base',
                    img_size=192,
                    stage_cfgs=dict(block_cfgs=dict(window_size=6))),
                neck=dict(
                    type='SimMIMLinearDecoder',
                    in_channels=1024,
                    encoder_stride=32),
                head=dict(
                    type='SimMIMHead',
                    patch_size=4,
                    loss=dict(
                        type='PixelReconstructionLoss',
                        criterion='L1',
                        channel=3)))),
    mixmim=(224,
            dict(
                type='MixMIM',
                backbone=dict(type='MixMIMPretrainTransformer', arch='B'),
                neck=dict(
                    type='MixMIMPretrainDecoder',
                    num_patches=49,
                    encoder_stride=32,
                    embed_dim=1024,
                    decoder_embed_dim=512,
                    decoder_depth=8,
                    decoder_num_heads=16),
                head=dict(
                    type='MixMIMPretrainHead',
                    norm_pix=True,
                    loss=dict(type='PixelReconstructionLoss',
                              criterion='L2')))),
    mae=(224,
         dict(
             type='MAE',
             backbone=dict(
                 type='MAEViT', arch='b', patch_size=16, mask_ratio=.75),
             neck=dict(
                 type='MAEPretrainDecoder',
                 patch_size=16,
                 embed_dim=768,
                 decoder_embed_dim=512,
                 decoder_depth=8,
                 decoder_num_heads=16),
             head=dict(
                 type='MAEPretrainHead',
                 norm_pix=True,
                 patch_size=16,
                 loss=dict(type='PixelReconstructionLoss', criterion='L2')))),
)


def _glid(checkpointed):
    """GLID with Swin-B; recomputes first stages and decoder, or nothing."""
    model = Config.fromfile(OURS).model
    model.backbone.encoder.checkpointed_stages = 2 * checkpointed
    model.backbone.decoder.gradient_checkpointing = checkpointed
    return 192, model


METHODS['glid'] = _glid(False)
METHODS['glid-checkpointed'] = _glid(True)


class Training(Step):
    """A step of pre-training; see :class:`Step`."""

    @staticmethod
    def prepare():
        import glid_mm.tasks.pretraining  # noqa: F401
        init_default_scope('mmpretrain')

    def build(self, name):
        side, config = METHODS[name]
        return MODELS.build(config), (side, side)

    def plan(self):
        super().plan()
        if hasattr(self.model, 'plan'):
            units = tuple(side // 32 for side in self.images.shape[-2:])
            grid = self.model.plan(units, len(self.images),
                                   torch.default_generator)
            self.grid = move_plan(grid, self.device)
            self.model._plan = lambda images: self.grid

    def draw(self):
        """Draw SimMIM's masks, for 60 % of its units of 32×32 pixels."""
        samples = []
        for _ in self.images:
            mask = torch.rand(36).argsort().argsort().view(6, 6) < 22
            mask = mask.repeat_interleave(8, 0).repeat_interleave(8, 1)
            samples.append(DataSample(mask=mask.float().to(self.device)))
        return samples


def main():
    run(__doc__, METHODS, training=Training)


if __name__ == '__main__':
    launch.main(main)
