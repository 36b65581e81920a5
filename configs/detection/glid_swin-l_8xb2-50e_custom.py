_base_ = './glid_swin-b_8xb2-50e_custom.py'
model = dict(backbone=dict(encoder=dict(arch='large')))
