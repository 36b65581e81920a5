_base_ = ['./glid_nano.py', '../data_preprocessors/detection.py']
model = dict(
    type='glid_mm.GLIDDetector',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=100 + 300),
    bbox_head=dict(
        type='glid_mm.BoxHead',
        in_channels=192,
        one_to_many_queries=300,
        one_to_many_repeats=4),
    test_cfg=dict(max_per_img=100))
