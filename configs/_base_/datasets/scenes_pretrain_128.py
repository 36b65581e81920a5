# The unlabelled images of Scenes: tools/dataset_converters/make_scenes.py
# Any folder of images works, including its subfolders.
data_root = 'data/scenes'
train_pipeline = [
    dict(
        type='glid_mm.LoadRandomResizedCrop',
        scale=128,
        crop_ratio_range=(0.4, 1.0),
        interpolation='bicubic',
        flip_prob=0.5),
    dict(type='PackInputs', algorithm_keys=('crop', )),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='glid_mm.UnlabelledImages',
        data_root=data_root,
        data_prefix='images/unlabelled',
        pipeline=train_pipeline))
