_base_ = [
    '../_base_/models/glid_swin-b_semantic.py',
    '../_base_/datasets/coco_panoptic_semantic_640x640.py',
    '../_base_/schedules/segmentation_160k.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(decode_head=dict(num_classes=133))
