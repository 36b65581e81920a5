_base_ = ['./glid_nano.py', '../data_preprocessors/masks.py']
model = dict(
    type='glid_mm.GLIDMaskFormer',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=50, embedding_std=0.5),
    panoptic_head=dict(
        type='glid_mm.PanopticHead', in_channels=192, mask_channels=96),
    train_cfg=dict(num_points=2048))
