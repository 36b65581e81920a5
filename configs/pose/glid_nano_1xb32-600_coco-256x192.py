# For trying things out on few photographs: a small model, tested with the
# annotated boxes.
_base_ = [
    '../_base_/models/glid_nano.py',
    '../_base_/datasets/coco_pose_256x192.py',
    '../_base_/schedules/pose_nano.py',
    '../_base_/pose_runtime.py',
]
max_iters = 600
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    sampler=dict(type='InfiniteSampler', shuffle=True))
val_dataloader = dict(num_workers=2)
test_dataloader = dict(num_workers=2, dataset=dict(bbox_file=None))

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=17, embedding_std=0.5),
    head=dict(
        type='glid_mm.QueryHeatmapHead',
        in_channels=192,
        mask_channels=96,
        loss=dict(
            type='SoftWeightSmoothL1Loss', use_target_weight=True, beta=1.0),
        decoder=_base_.codec),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False))
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
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=200, max_keep_ckpts=1))
