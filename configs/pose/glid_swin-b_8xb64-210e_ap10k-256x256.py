_base_ = [
    '../_base_/models/glid_swin-b.py',
    '../_base_/datasets/ap10k_256x256.py',
    '../_base_/schedules/pose_210e.py',
    '../_base_/pose_runtime.py',
]
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=17, encoder=dict(drop_path_rate=0.3)),
    head=dict(
        type='glid_mm.QueryHeatmapHead',
        in_channels=512,
        mask_channels=256,
        loss=dict(
            type='SoftWeightSmoothL1Loss', use_target_weight=True, beta=1.0),
        decoder=_base_.codec),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=True))
