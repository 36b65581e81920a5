# COCO with few labels: a yardstick, docs/yardsticks.md.
_base_ = [
    '../_base_/models/glid_swin-t_detection.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/detection_40k.py',
    '../_base_/detection_runtime.py',
]
model = dict(bbox_head=dict(num_classes=80))
train_dataloader = dict(
    batch_size=16,
    num_workers=12,
    sampler=dict(type='InfiniteSampler', shuffle=True))

# Training, log and checkpoints count iterations.
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=4000))
