# Small crops, for trials with few photographs.
_base_ = './coco_panoptic_semantic_640x640.py'
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
