# VOC 2012 with 800 labelled images: a yardstick, docs/yardsticks.md.
_base_ = [
    '../_base_/models/glid_swin-t_detection.py',
    '../_base_/datasets/voc12_detection.py',
    '../_base_/schedules/detection_40k.py',
    '../_base_/detection_runtime.py',
]
max_iters = 10000
model = dict(bbox_head=dict(num_classes=20))
train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    sampler=dict(type='InfiniteSampler', shuffle=True))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=max_iters, milestones=[max_iters * 4 // 5])
train_cfg = dict(max_iters=max_iters, val_interval=1000)

# Training, log and checkpoints count iterations.
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=1000, save_best='pascal_voc/mAP'))
