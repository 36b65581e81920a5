# For trials with few photographs: a small model on small images.
_base_ = [
    '../_base_/models/glid_nano_detection.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/detection_nano.py',
    '../_base_/detection_runtime.py',
]
max_iters = 600
train_pipeline = [
    dict(type='LoadImageFromFile', _scope_='glid_mm'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomChoiceResize',
        scales=[(short, 256) for short in range(160, 257, 32)],
        keep_ratio=True),
    dict(type='PackDetInputs'),
]
test_pipeline = _base_.test_pipeline
test_pipeline[1] = dict(type='Resize', scale=(256, 256), keep_ratio=True)
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    batch_sampler=None,
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16, num_workers=2, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
model = dict(bbox_head=dict(num_classes=80))
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters, milestones=[max_iters * 4 // 5])
train_cfg = dict(max_iters=max_iters, val_interval=200)
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=200, max_keep_ckpts=1))
