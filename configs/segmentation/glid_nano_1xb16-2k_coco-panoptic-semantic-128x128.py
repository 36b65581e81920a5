# For trying things out on few photographs: a small model on small crops.
_base_ = [
    '../_base_/models/glid_nano.py',
    '../_base_/datasets/coco_panoptic_semantic_640x640.py',
    '../_base_/schedules/segmentation_nano.py',
    '../_base_/segmentation_runtime.py',
]
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='glid_mm.LoadSemanticMap'),
    dict(
        type='RandomChoiceResize',
        scales=[int(128 * x * 0.1) for x in range(9, 21)],
        resize_type='ResizeShortestEdge',
        max_size=512),
    dict(type='RandomCrop', crop_size=(128, 128), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='Resize', scale=(512, 128), keep_ratio=True),
    dict(type='glid_mm.LoadSemanticMap'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=16, num_workers=2, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=2, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

model = dict(
    type='glid_mm.GLIDSegmentor',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=50, embedding_std=0.5),
    decode_head=dict(
        type='glid_mm.SemanticHead',
        num_classes=133,
        in_channels=192,
        mask_channels=96,
        train_cfg=dict(num_points=2048)),
    test_cfg=dict(mode='whole'))
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
