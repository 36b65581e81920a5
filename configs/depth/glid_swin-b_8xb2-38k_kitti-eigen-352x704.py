_base_ = [
    '../_base_/models/glid_swin-b_depth.py',
    '../_base_/datasets/kitti_eigen_352x704.py',
    '../_base_/schedules/depth_38k.py',
    '../_base_/depth_runtime.py',
]
model = dict(decode_head=_base_.depth_range)
