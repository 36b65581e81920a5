_base_ = [
    '../_base_/models/glid_swin-b.py',
    '../_base_/datasets/ade20k_640x640.py',
    '../_base_/schedules/segmentation_160k.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    type='glid_mm.GLIDSegmentor',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=100, encoder=dict(drop_path_rate=0.3)),
    decode_head=dict(
        type='glid_mm.SemanticHead',
        num_classes=150,
        in_channels=512,
        mask_channels=256),
    test_cfg=dict(mode='whole'))
