_base_ = [
    '../_base_/models/xnet_convnext-b_semantic.py',
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/schedules/xnet_160k.py',
    '../_base_/segmentation_runtime.py',
]
max_iters = 80000
model = dict(decode_head=dict(num_classes=19))
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = max_iters
train_cfg = dict(max_iters=max_iters)
