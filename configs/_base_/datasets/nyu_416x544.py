# NYUv2: tools/dataset_converters/nyuv2.py writes the folders.
dataset_type = 'glid_mm.DepthDataset'
data_root = 'data/nyu'
depth_range = dict(min_depth=1e-3, max_depth=10.)
meta_keys = ('img_path', 'depth_map_path', 'ori_shape', 'img_shape',
             'pad_shape', 'scale_factor', 'flip', 'flip_direction')
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='glid_mm.LoadDepth', depth_rescale_factor=1e-3),
    # Registering depth to the image leaves a frame without depth or colour.
    dict(type='glid_mm.FixedCrop', box=(43, 45, 608, 472)),
    dict(type='RandomRotate', prob=0.5, degree=2.5, pad_val=0, seg_pad_val=0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=(416, 544)),
    dict(
        type='glid_mm.RandomColour',
        prob=0.5,
        gamma=(0.9, 1.1),
        brightness=(0.75, 1.25),
        colour=(0.9, 1.1)),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    # NYUv2's own size; other photographs are resized to it.
    dict(type='Resize', scale=(640, 480), keep_ratio=True),
    # After resizing: depth is compared at the original size.
    dict(type='glid_mm.LoadDepth', depth_rescale_factor=1e-3),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='images/train', depth_map_path='annotations/train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='images/test', depth_map_path='annotations/test'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='glid_mm.DepthMetric',
    crop_type='nyu_crop',
    min_depth_eval=depth_range['min_depth'],
    max_depth_eval=depth_range['max_depth'])
test_evaluator = val_evaluator
