_base_ = './glid_swin-b.py'
# Heads and data preprocessors come from the single tasks.
model = dict(backbone=dict(encoder=dict(drop_path_rate=0.3)))
