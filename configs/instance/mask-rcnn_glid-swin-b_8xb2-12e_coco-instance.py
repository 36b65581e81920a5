# Only the encoder is pre-trained, as in most methods (paper Figure 1). Model
# and optimizer are those of mmdet's Mask R-CNN with Swin. This config needs
# mmcv's compiled ops: make ops
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/coco_instance_1024x1024.py',
    '../_base_/schedules/detection_50e.py',
    '../_base_/instance_runtime.py',
]
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
model = dict(
    backbone=dict(
        _delete_=True,
        type='glid_mm.GLIDEncoder',
        encoder=dict(arch='base', drop_path_rate=0.3)),
    neck=dict(in_channels=[128, 256, 512, 1024]))
optim_wrapper = dict(
    optimizer=dict(lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(encoder_lr_mult=1.),
    clip_grad=None)
max_epochs = 12
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.001, by_epoch=False, begin=0,
        end=1000),
    dict(
        type='MultiStepLR',
        begin=0,
        end=max_epochs,
        by_epoch=True,
        milestones=[8, 11],
        gamma=0.1),
]
train_cfg = dict(max_epochs=max_epochs)
# Counted in epochs, unlike the other configs of this folder.
log_processor = dict(by_epoch=True)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True),
    checkpoint=dict(by_epoch=True, interval=1))
