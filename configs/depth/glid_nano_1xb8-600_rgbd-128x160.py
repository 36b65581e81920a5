# For trying things out on few pairs: a small model on small images.
_base_ = [
    '../_base_/models/glid_nano.py',
    '../_base_/datasets/rgbd_128x160.py',
    '../_base_/schedules/depth_nano.py',
    '../_base_/depth_runtime.py',
]
max_iters = 600
model = dict(
    type='glid_mm.GLIDDepthEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=64),
    decode_head=dict(
        type='glid_mm.DepthHead',
        in_channels=192,
        mask_channels=96,
        **_base_.depth_range),
    test_cfg=dict(mode='whole', flip=True))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='PolyLR',
        eta_min=0,
        power=0.9,
        begin=50,
        end=max_iters,
        by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=200)
default_hooks = dict(checkpoint=dict(interval=200, max_keep_ckpts=1))
