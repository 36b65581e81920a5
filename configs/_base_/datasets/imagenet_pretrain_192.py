# ImageNet-1K without labels. Any folder of images does: set ``data_root``.
# Sub-folders are searched too, and no annotation file is needed. A folder of
# shards does as well, and is faster to decode:
# tools/dataset_converters/shard_images.py
train_pipeline = [
    # JPEGs are decoded at reduced scale where the crop still has 192 pixels.
    # With ``canvas=342`` crops are resized and flipped on the GPU instead:
    # 342 is 4/3 of the shorter side of shards.
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
