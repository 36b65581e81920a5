# Only the encoder is pre-trained: a baseline for glid_nano.
_base_ = [
    '../_base_/models/maskformer_glid-nano.py',
    '../_base_/datasets/scenes_instance_128x128.py',
    '../_base_/schedules/segmentation_nano.py',
    '../_base_/instance_runtime.py',
]
max_iters = 7000
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = max_iters
train_cfg = dict(max_iters=max_iters)
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
