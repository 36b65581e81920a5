# A short run of a small model.
_base_ = './segmentation_nano.py'
optim_wrapper = dict(
    optimizer=dict(weight_decay=0.01), clip_grad=dict(max_norm=1.))
