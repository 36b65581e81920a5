_base_ = [
    '../_base_/models/glid_nano_detection.py',
    '../_base_/datasets/scenes_detection_128x128.py',
    '../_base_/schedules/detection_nano.py',
    '../_base_/detection_runtime.py',
]
# Why with positions: docs/design.md, "How queries start".
model = dict(
    backbone=dict(
        num_queries=36 + 64,
        embedding_positions=True,
        decoder=dict(value_positions=True)),
    bbox_head=dict(
        num_classes=4, one_to_many_queries=64, reference_points=True))

# Training, log and checkpoints count iterations.
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=1))
