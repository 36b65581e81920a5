_base_ = './glid_swin-b_pose.py'
model = dict(backbone=dict(encoder=dict(arch='large', drop_path_rate=0.5)))
