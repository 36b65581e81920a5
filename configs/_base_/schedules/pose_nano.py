# A short run of a small model: all parts at one rate.
_base_ = './segmentation_nano.py'
optim_wrapper = dict(clip_grad=dict(max_norm=1.))
