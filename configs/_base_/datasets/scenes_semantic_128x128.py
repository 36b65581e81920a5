# Scenes: tools/dataset_converters/make_scenes.py
dataset_type = 'glid_mm.SemanticDataset'
data_root = 'data/scenes'
metainfo = dict(
    classes=('box', 'ball', 'cone', 'person', 'sky', 'wall', 'ground'),
    palette=[[200, 120, 30], [60, 170, 60], [200, 60, 60], [70, 90, 200],
             [130, 190, 230], [180, 170, 150], [110, 100, 90]])
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='glid_mm.LoadSemanticMap'),
    dict(
        type='RandomResize',
        scale=(128, 128),
        ratio_range=(1.0, 1.5),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=(128, 128)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='glid_mm.LoadSemanticMap'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        data_prefix=dict(
            img_path='images/train', seg_map_path='semantic_train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        data_prefix=dict(img_path='images/val', seg_map_path='semantic_val'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
