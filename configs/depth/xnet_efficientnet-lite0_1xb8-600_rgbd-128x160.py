# For trials with few pairs: small networks on small images.
_base_ = [
    '../_base_/models/xnet_efficientnet-lite0_depth.py',
    '../_base_/datasets/rgbd_128x160.py',
    '../_base_/schedules/depth_nano.py',
    '../_base_/depth_runtime.py',
]
max_iters = 600
model = dict(decode_head=_base_.depth_range)
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = max_iters
train_cfg = dict(max_iters=max_iters, val_interval=200)
default_hooks = dict(checkpoint=dict(interval=200, max_keep_ckpts=1))
