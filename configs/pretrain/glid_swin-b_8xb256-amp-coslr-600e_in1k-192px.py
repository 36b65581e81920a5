_base_ = [
    '../_base_/models/glid_swin-b.py',
    '../_base_/datasets/imagenet_pretrain_192.py',
    '../_base_/schedules/pretrain_600e.py',
    '../_base_/pretrain_runtime.py',
]
model = dict(
    type='glid_mm.GLIDPretrainer',
    data_preprocessor=_base_.data_preprocessor,
    head=dict(type='glid_mm.PixelHead', in_channels=512),
    mask_ratio=0.75,
    mask_strategy='random')
