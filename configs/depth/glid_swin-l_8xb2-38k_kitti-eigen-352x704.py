_base_ = './glid_swin-b_8xb2-38k_kitti-eigen-352x704.py'
model = dict(backbone=dict(encoder=dict(arch='large')))
