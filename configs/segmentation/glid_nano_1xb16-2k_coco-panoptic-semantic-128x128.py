# For trials with few photographs: a small model on small crops.
_base_ = [
    '../_base_/models/glid_nano_semantic.py',
    '../_base_/datasets/coco_panoptic_semantic_128x128.py',
    '../_base_/schedules/segmentation_nano.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(decode_head=dict(num_classes=133))
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
