# ADE20K with few labels: a yardstick, docs/yardsticks.md.
_base_ = './glid_swin-b_8xb2-160k_ade20k-640x640.py'
max_iters = 20000
model = dict(backbone=dict(encoder=dict(arch='tiny', drop_path_rate=0.2)))
train_dataloader = dict(batch_size=16, num_workers=12)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = max_iters
train_cfg = dict(max_iters=max_iters)
