_base_ = [
    '../_base_/models/glid_swin-b_pose.py',
    '../_base_/datasets/ap10k_256x256.py',
    '../_base_/schedules/pose_210e.py',
    '../_base_/pose_runtime.py',
]
model = dict(
    head=dict(decoder=_base_.codec), test_cfg=dict(shift_heatmap=True))
