_base_ = './glid_nano.py'
model = dict(
    type='glid_mm.GLIDMaskFormer',
    backbone=dict(num_queries=50, embedding_std=0.5),
    panoptic_head=dict(
        type='glid_mm.PanopticHead', in_channels=192, mask_channels=96),
    train_cfg=dict(num_points=2048))
