# Mask2Former's schedule on COCO: lr 1e-4 at batch 16, a tenth of it for the
# encoder, dropped to a tenth after 44 and 48 of 50 epochs.
max_epochs = 50
optim_wrapper = dict(
    optimizer=dict(
        type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    constructor='glid_mm.GLIDOptimWrapperConstructor',
    paramwise_cfg=dict(encoder_lr_mult=0.1),
    clip_grad=dict(max_norm=0.01, norm_type=2))
param_scheduler = [
    dict(
        type='MultiStepLR',
        begin=0,
        end=max_epochs,
        by_epoch=True,
        milestones=[44, 48],
        gamma=0.1)
]
train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=16)
