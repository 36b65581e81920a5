# For trials with few photographs: a small model on small images.
_base_ = [
    '../_base_/models/glid_nano_instance.py',
    '../_base_/datasets/coco_instance_1024x1024.py',
    '../_base_/schedules/segmentation_nano.py',
    '../_base_/instance_runtime.py',
]
max_iters = 600
train_pipeline = _base_.train_pipeline
train_pipeline[3].update(scale=(256, 256), ratio_range=(0.6, 1.0))
train_pipeline.pop(4)
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (256, 256)
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16, num_workers=2, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
model = dict(panoptic_head=dict(num_things_classes=80))
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = max_iters
train_cfg = dict(max_iters=max_iters, val_interval=200)
default_hooks = dict(checkpoint=dict(interval=200, max_keep_ckpts=1))
