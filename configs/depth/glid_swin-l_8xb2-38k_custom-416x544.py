_base_ = './glid_swin-b_8xb2-38k_custom-416x544.py'
model = dict(backbone=dict(encoder=dict(arch='large')))
