_base_ = [
    '../_base_/models/glid_nano.py',
    '../_base_/datasets/scenes_pretrain_128.py',
    '../_base_/default_runtime.py',
]
custom_imports = dict(imports=['glid_mm.tasks.pretraining'])
default_scope = 'mmpretrain'

model = dict(
    type='glid_mm.GLIDPretrainer',
    backbone=_base_.backbone,
    head=dict(type='glid_mm.PixelHead', in_channels=192),
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True))

# Short runs on small batches want a higher rate than the paper's rule gives.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05),
    constructor='glid_mm.GLIDOptimWrapperConstructor')
max_epochs = 100
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-3,
        by_epoch=True,
        begin=0,
        end=5,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=max_epochs - 5,
        by_epoch=True,
        begin=5,
        end=max_epochs,
        convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs)

default_hooks = dict(
    checkpoint=dict(interval=10, max_keep_ckpts=2),
    reconstruction=dict(type='glid_mm.ReconstructionHook', interval=200))
