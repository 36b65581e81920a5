_base_ = './glid_swin-b_depth.py'
model = dict(backbone=dict(encoder=dict(arch='large')))
