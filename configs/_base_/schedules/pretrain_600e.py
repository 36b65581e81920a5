# Paper §4: AdamW, lr 1.2e-3 at batch 2048, weight decay 0.05, 600 epochs.
# ``--auto-scale-lr`` scales the learning rate to another batch size.
optim_wrapper = dict(
    type='glid_mm.BF16OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=1.2e-3, betas=(0.9, 0.95), weight_decay=0.05),
    constructor='glid_mm.GLIDOptimWrapperConstructor')
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-4,
        by_epoch=True,
        begin=0,
        end=40,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=560,
        by_epoch=True,
        begin=40,
        end=600,
        convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=600)
auto_scale_lr = dict(base_batch_size=2048)
