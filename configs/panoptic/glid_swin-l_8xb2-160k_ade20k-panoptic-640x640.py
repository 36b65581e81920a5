_base_ = './glid_swin-b_8xb2-160k_ade20k-panoptic-640x640.py'
model = dict(backbone=dict(encoder=dict(arch='large')))
