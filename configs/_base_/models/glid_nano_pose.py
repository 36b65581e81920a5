_base_ = ['./glid_nano.py', '../data_preprocessors/pose.py']
model = dict(
    type='glid_mm.GLIDPoseEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=17, embedding_std=0.5),
    head=dict(
        type='glid_mm.QueryHeatmapHead',
        in_channels=192,
        mask_channels=96,
        loss=dict(
            type='glid_mm.SoftWeightSmoothL1Loss',
            use_target_weight=True,
            beta=1.0)),
    # UDP's flipped heatmaps are aligned; MSRA's need a shift.
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False))
