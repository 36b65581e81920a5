_base_ = './glid_swin-b_8xb2-50e_coco.py'
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=12, milestones=[11])
train_cfg = dict(max_epochs=12)
