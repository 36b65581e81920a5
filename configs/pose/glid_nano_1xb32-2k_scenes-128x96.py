_base_ = [
    '../_base_/models/glid_nano.py',
    '../_base_/datasets/scenes_pose_128x96.py',
    '../_base_/schedules/pose_nano.py',
    '../_base_/pose_runtime.py',
]
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

# Training is by the iteration, and so are its log and checkpoints.
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=1))
