_base_ = './glid_swin-b_8xb2-40k_custom-panoptic-640x640.py'
model = dict(backbone=dict(encoder=dict(arch='small')))
