_base_ = [
    '../_base_/models/xnet_nano_depth.py',
    '../_base_/datasets/scenes_depth_128x128.py',
    '../_base_/schedules/depth_nano.py',
    '../_base_/depth_runtime.py',
]
model = dict(decode_head=_base_.depth_range)
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
