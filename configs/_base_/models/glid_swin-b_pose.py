_base_ = ['./glid_swin-b.py', '../data_preprocessors/pose.py']
model = dict(
    type='glid_mm.GLIDPoseEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=17, encoder=dict(drop_path_rate=0.3)),
    head=dict(
        type='glid_mm.QueryHeatmapHead',
        in_channels=512,
        mask_channels=256,
        loss=dict(
            type='glid_mm.SoftWeightSmoothL1Loss',
            use_target_weight=True,
            beta=1.0)),
    # UDP's flipped heatmaps are aligned; MSRA's need a shift.
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False))
