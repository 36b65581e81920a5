_base_ = [
    '../_base_/models/glid_nano_semantic.py',
    '../_base_/datasets/scenes_semantic_128x128.py',
    '../_base_/schedules/segmentation_nano.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(backbone=dict(num_queries=20), decode_head=dict(num_classes=7))
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
