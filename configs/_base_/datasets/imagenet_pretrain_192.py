# ImageNet-1K without labels. Any folder of images works: set ``data_root``.
# Subfolders are searched, and no annotation file is needed. A folder of shards
# (tools/dataset_converters/shard_images.py) also works and decodes faster.
train_pipeline = [
    # JPEGs are decoded at reduced scale if the crop still has 192 pixels.
    # ``canvas=342`` resizes and flips crops on the GPU instead; 342 is 4/3 of
    # the shorter side of shards.
    dict(
        type='glid_mm.LoadRandomResizedCrop',
        scale=192,
        crop_ratio_range=(0.2, 1.0),
        interpolation='bicubic',
        flip_prob=0.5),
    dict(type='PackInputs', algorithm_keys=('crop', )),
]
train_dataloader = dict(
    batch_size=256,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='glid_mm.UnlabelledImages',
        data_root='data/imagenet/train',
        pipeline=train_pipeline))
