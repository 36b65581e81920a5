_base_ = './glid_swin-b_semantic.py'
model = dict(backbone=dict(encoder=dict(arch='tiny', drop_path_rate=0.2)))
