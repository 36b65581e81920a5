_base_ = ['./glid_swin-b.py', '../data_preprocessors/detection.py']
# Training uses 300 queries that match objects one to one and 1500 that match
# them six to one; evaluation uses the 300.
model = dict(
    type='glid_mm.GLIDDetector',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=300 + 1500, encoder=dict(drop_path_rate=0.3)),
    bbox_head=dict(
        type='glid_mm.BoxHead',
        in_channels=512,
        one_to_many_queries=1500,
        one_to_many_repeats=6),
    # COCO counts the best 100 boxes of each class and image, not 100 in all.
    test_cfg=dict(max_per_img=300))
