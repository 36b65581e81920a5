_base_ = './glid_swin-b_pretrain.py'
model = dict(backbone=dict(encoder=dict(arch='small')))
