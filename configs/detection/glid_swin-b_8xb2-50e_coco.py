_base_ = [
    '../_base_/models/glid_swin-b.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/detection_50e.py',
    '../_base_/detection_runtime.py',
]
# Training asks 300 queries that match objects one to one and 1500 that match
# them six to one; evaluation asks the 300.
model = dict(
    type='glid_mm.GLIDDetector',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=300 + 1500, encoder=dict(drop_path_rate=0.3)),
    bbox_head=dict(
        type='glid_mm.BoxHead',
        num_classes=80,
        in_channels=512,
        one_to_many_queries=1500,
        one_to_many_repeats=6,
        one_to_many_weight=1.0),
    # COCO counts the best 100 boxes of each class and image, not 100 in all.
    test_cfg=dict(max_per_img=300))
