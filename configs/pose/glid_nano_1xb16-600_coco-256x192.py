# For trials with few photographs: a small model, tested with annotated boxes.
_base_ = [
    '../_base_/models/glid_nano_pose.py',
    '../_base_/datasets/coco_pose_256x192.py',
    '../_base_/schedules/pose_nano.py',
    '../_base_/pose_runtime.py',
]
max_iters = 600
train_dataloader = dict(
    batch_size=16,
    num_workers=2,
    sampler=dict(type='InfiniteSampler', shuffle=True))
val_dataloader = dict(num_workers=2)
test_dataloader = dict(num_workers=2, dataset=dict(bbox_file=None))

model = dict(head=dict(decoder=_base_.codec))
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = max_iters
train_cfg = dict(max_iters=max_iters, val_interval=200)
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=200, max_keep_ckpts=1))
