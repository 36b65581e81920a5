_base_ = [
    '../_base_/models/glid_swin-b_detection.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/detection_50e.py',
    '../_base_/detection_runtime.py',
]
model = dict(bbox_head=dict(num_classes=80, one_to_many_weight=1.0))
