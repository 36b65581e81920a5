# KITTI with the split of Eigen et al. and the improved ground truth. In the
# usual lists, each line names an image and its depth map.
dataset_type = 'glid_mm.DepthDataset'
data_root = 'data/kitti'
depth_range = dict(min_depth=1e-3, max_depth=80.)
meta_keys = ('img_path', 'depth_map_path', 'ori_shape', 'img_shape',
             'pad_shape', 'scale_factor', 'flip', 'flip_direction')
# The training crop replaces the customary KB crop, 352×1216 at the bottom,
# and has the same height. Tests use whole images; the Garg crop of the
# evaluation lies within the KB crop.
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='glid_mm.LoadDepth', depth_rescale_factor=1 / 256),
    dict(type='RandomRotate', prob=0.5, degree=2.5, pad_val=0, seg_pad_val=0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=(352, 704)),
    dict(
        type='glid_mm.RandomColour',
        prob=0.5,
        gamma=(0.9, 1.1),
        brightness=(0.9, 1.1),
        colour=(0.9, 1.1)),
    dict(type='PackSegInputs', meta_keys=meta_keys),
]
test_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='glid_mm.LoadDepth', depth_rescale_factor=1 / 256),
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
        ann_file='kitti_eigen_train.txt',
        data_prefix=dict(img_path='input', depth_map_path='gt_depth'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='kitti_eigen_test.txt',
        data_prefix=dict(img_path='input', depth_map_path='gt_depth'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='glid_mm.DepthMetric',
    crop_type='garg_crop',
    min_depth_eval=depth_range['min_depth'],
    max_depth_eval=depth_range['max_depth'])
test_evaluator = val_evaluator
