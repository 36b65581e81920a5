_base_ = './glid_swin-b_detection.py'
model = dict(backbone=dict(encoder=dict(arch='large', drop_path_rate=0.5)))
