# ADE20K with few labels: a yardstick, docs/yardsticks.md.
_base_ = [
    '../_base_/models/glid_swin-t_semantic.py',
    '../_base_/datasets/ade20k_640x640.py',
    '../_base_/schedules/segmentation_160k.py',
    '../_base_/segmentation_runtime.py',
]
max_iters = 20000
model = dict(decode_head=dict(num_classes=150))
train_dataloader = dict(batch_size=16, num_workers=12)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = max_iters
train_cfg = dict(max_iters=max_iters)
