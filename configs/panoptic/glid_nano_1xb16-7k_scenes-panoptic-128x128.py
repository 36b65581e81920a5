_base_ = [
    '../_base_/models/glid_nano_panoptic.py',
    '../_base_/datasets/scenes_panoptic_128x128.py',
    '../_base_/schedules/segmentation_nano.py',
    '../_base_/panoptic_runtime.py',
]
max_iters = 7000
model = dict(panoptic_head=dict(num_things_classes=4, num_stuff_classes=3))
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = max_iters
train_cfg = dict(max_iters=max_iters)
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
