# Scenes: tools/dataset_converters/make_scenes.py. Its depth reaches 60 m; 99
# of 100 pixels are within the range used here. Images keep their size, because
# an enlarged image shows objects nearer than they are.
dataset_type = 'glid_mm.DepthDataset'
data_root = 'data/scenes'
depth_range = dict(min_depth=0.5, max_depth=20.)
meta_keys = ('img_path', 'depth_map_path', 'ori_shape', 'img_shape',
             'pad_shape', 'scale_factor', 'flip', 'flip_direction')
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='glid_mm.LoadDepth', depth_rescale_factor=1e-3),
    dict(type='RandomFlip', prob=0.5),
    dict(type='glid_mm.RandomColour', prob=0.5),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='glid_mm.LoadDepth', depth_rescale_factor=1e-3),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='images/train', depth_map_path='depth_train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='images/val', depth_map_path='depth_val'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='glid_mm.DepthMetric',
    min_depth_eval=depth_range['min_depth'],
    max_depth_eval=depth_range['max_depth'])
test_evaluator = val_evaluator
