_base_ = [
    '../_base_/models/glid_swin-b.py',
    '../_base_/datasets/imagenet_pretrain_192.py',
    '../_base_/schedules/pretrain_600e.py',
    '../_base_/default_runtime.py',
]
custom_imports = dict(imports=['glid_mm.tasks.pretraining'])
default_scope = 'mmpretrain'

model = dict(
    type='glid_mm.GLIDPretrainer',
    backbone=_base_.backbone,
    head=dict(type='glid_mm.PixelHead', in_channels=512),
    mask_ratio=0.75,
    mask_strategy='random',
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True))

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=3),
    reconstruction=dict(type='glid_mm.ReconstructionHook', interval=1000))
