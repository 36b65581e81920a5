_base_ = './glid_swin-b_instance.py'
model = dict(backbone=dict(encoder=dict(arch='large')))
