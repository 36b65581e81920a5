# COCO's 27 supercategories instead of its 133 categories, for a hundred
# photographs. coco_panoptic_to_semantic.py --supercategories writes labels.
_base_ = [
    '../_base_/models/glid_nano_semantic.py',
    '../_base_/datasets/coco_supercategories_128x128.py',
    '../_base_/schedules/segmentation_nano.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(decode_head=dict(num_classes=27))
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
