_base_ = ['./glid_swin-b.py', '../data_preprocessors/masks.py']
# 200 queries for instances and for panoptic maps (paper §4).
model = dict(
    type='glid_mm.GLIDMaskFormer',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=200, encoder=dict(drop_path_rate=0.3)),
    panoptic_head=dict(
        type='glid_mm.PanopticHead', in_channels=512, mask_channels=256))
