# COCO's 27 supercategories, for a hundred photographs.
_base_ = [
    '../_base_/models/xnet_efficientnet-lite0_semantic.py',
    '../_base_/datasets/coco_supercategories_128x128.py',
    '../_base_/schedules/segmentation_nano.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(decode_head=dict(num_classes=27))
