# 160k iterations at batch 16, one rate for encoder and decoder: both are
# pre-trained. The rates are those of mmseg's UPerNet with ConvNeXt.
_base_ = './segmentation_160k.py'
max_iters = 160000
optim_wrapper = dict(paramwise_cfg=dict(encoder_lr_mult=1.), clip_grad=None)
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(
        type='PolyLR',
        eta_min=0,
        power=1.0,
        begin=1500,
        end=max_iters,
        by_epoch=False),
]
