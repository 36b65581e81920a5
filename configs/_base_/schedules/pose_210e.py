# ViTPose's schedule: lr 5e-4 at batch 512, dropped to a tenth after 170 and
# 200 of 210 epochs, lower for the encoder's early blocks. Each of the 24
# blocks of Swin-B and Swin-L has 0.9 times the rate of the next (ViTPose: 0.75
# for the 12 of its B, 0.8 for the 24 of its L); neck and decoder have the full
# rate.
max_epochs = 210
optim_wrapper = dict(
    optimizer=dict(
        type='AdamW', lr=5e-4, betas=(0.9, 0.999), weight_decay=0.1),
    constructor='glid_mm.GLIDOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay=0.9),
    clip_grad=dict(max_norm=1.0, norm_type=2))
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(
        type='MultiStepLR',
        begin=0,
        end=max_epochs,
        by_epoch=True,
        milestones=[170, 200],
        gamma=0.1),
]
train_cfg = dict(
    type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=10)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
auto_scale_lr = dict(base_batch_size=512)
