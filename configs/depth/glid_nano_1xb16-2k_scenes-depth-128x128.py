_base_ = [
    '../_base_/models/glid_nano.py',
    '../_base_/datasets/scenes_depth_128x128.py',
    '../_base_/schedules/depth_nano.py',
    '../_base_/depth_runtime.py',
]
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
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
