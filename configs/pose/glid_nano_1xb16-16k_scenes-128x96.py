_base_ = [
    '../_base_/models/glid_nano_pose.py',
    '../_base_/datasets/scenes_pose_128x96.py',
    '../_base_/schedules/pose_nano.py',
    '../_base_/pose_runtime.py',
]
model = dict(head=dict(decoder=_base_.codec))

# Training, log and checkpoints count iterations.
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=1))
