_base_ = './glid_swin-b_panoptic.py'
model = dict(backbone=dict(encoder=dict(arch='large')))
