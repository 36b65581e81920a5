# Scenes: tools/dataset_converters/make_scenes.py. Flips only: instead of
# cropping few images, generate more.
dataset_type = 'glid_mm.CocoPanopticDataset'
data_root = 'data/scenes/'
metainfo = dict(
    classes=('box', 'ball', 'cone', 'person', 'sky', 'wall', 'ground'),
    palette=[(200, 120, 30), (60, 170, 60), (200, 60, 60), (70, 90, 200),
             (130, 190, 230), (180, 170, 150), (110, 100, 90)])
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='glid_mm.LoadPanopticMap'),
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='glid_mm.PackPanopticInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='glid_mm.LoadPanopticMap'),
    dict(
        type='glid_mm.PackPanopticInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                   'scale_factor')),
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
        ann_file='annotations/panoptic_train.json',
        data_prefix=dict(img='images/train/', seg='panoptic_train/'),
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
        ann_file='annotations/panoptic_val.json',
        data_prefix=dict(img='images/val/', seg='panoptic_val/'),
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='glid_mm.PanopticMetric')
test_evaluator = val_evaluator
