# BinsFormer's schedule on NYUv2 and KITTI: 38.4k iterations at batch 16, one
# rate for all parts, which rises over the first third.
max_iters = 38400
optim_wrapper = dict(
    optimizer=dict(
        type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.01),
    constructor='glid_mm.GLIDOptimWrapperConstructor',
    clip_grad=dict(max_norm=35, norm_type=2))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.04,
        begin=0,
        end=max_iters // 3,
        by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        eta_min=4e-8,
        begin=max_iters // 3,
        end=max_iters,
        by_epoch=False),
]
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=max_iters, val_interval=1600)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=16)
