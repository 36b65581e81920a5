# A short run of a small model. Losses of several tasks are summed, so
# gradients are clipped like those of tasks with large losses.
_base_ = './segmentation_nano.py'
max_iters = 14000
optim_wrapper = dict(clip_grad=dict(max_norm=1.))
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = max_iters
train_cfg = dict(max_iters=max_iters)
