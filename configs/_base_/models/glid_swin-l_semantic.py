_base_ = './glid_swin-b_semantic.py'
model = dict(backbone=dict(encoder=dict(arch='large')))
