_base_ = [
    '../_base_/models/glid_swin-l_pose.py',
    '../_base_/datasets/coco_pose_256x192.py',
    '../_base_/schedules/pose_210e.py',
    '../_base_/pose_runtime.py',
]
model = dict(head=dict(decoder=_base_.codec))
