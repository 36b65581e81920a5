# Only the encoder is pre-trained, as in most methods (paper Figure 1). The
# optimizer is that of mmseg's UPerNet with Swin.
_base_ = [
    '../_base_/models/upernet_glid-swin-b.py',
    '../_base_/datasets/ade20k_640x640.py',
    '../_base_/schedules/segmentation_160k.py',
    '../_base_/segmentation_runtime.py',
]
optim_wrapper = dict(
    optimizer=dict(lr=6e-5, weight_decay=0.01),
    paramwise_cfg=dict(encoder_lr_mult=1.),
    clip_grad=None)
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(
        type='PolyLR',
        eta_min=0,
        power=1.0,
        begin=1500,
        end=160000,
        by_epoch=False),
]
