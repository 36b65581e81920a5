# Only the encoder is pre-trained: a baseline for glid_nano.
_base_ = [
    '../_base_/models/upernet_glid-nano.py',
    '../_base_/datasets/scenes_semantic_128x128.py',
    '../_base_/schedules/segmentation_nano.py',
    '../_base_/segmentation_runtime.py',
]
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
