# Pairs of photographs and depth maps in millimetres, from indoor sensors:
# tools/dataset_converters/list_rgbd_pairs.py writes the lists. For your own
# data, change data_root, the lists and the range.
dataset_type = 'glid_mm.DepthDataset'
data_root = 'data/depth_rgbd'
lists = 'data/depth_rgbd_lists'
depth_range = dict(min_depth=0.1, max_depth=10.)
meta_keys = ('img_path', 'depth_map_path', 'ori_shape', 'img_shape',
             'pad_shape', 'scale_factor', 'flip', 'flip_direction')
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='glid_mm.LoadDepth', depth_rescale_factor=1e-3),
    dict(type='Resize', scale=(160, 128), keep_ratio=True),
    dict(type='RandomRotate', prob=0.5, degree=2.5, pad_val=0, seg_pad_val=0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='glid_mm.RandomColour', prob=0.5),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='Resize', scale=(160, 128), keep_ratio=True),
    # After resizing: depth is compared at the original size.
    dict(type='glid_mm.LoadDepth', depth_rescale_factor=1e-3),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        ann_file=f'{lists}/train.txt',
        data_prefix=dict(img_path=data_root, depth_map_path=data_root),
        pipeline=train_pipeline))
# One at a time, because image sizes differ.
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        ann_file=f'{lists}/val.txt',
        data_prefix=dict(img_path=data_root, depth_map_path=data_root),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='glid_mm.DepthMetric',
    min_depth_eval=depth_range['min_depth'],
    max_depth_eval=depth_range['max_depth'])
test_evaluator = val_evaluator
