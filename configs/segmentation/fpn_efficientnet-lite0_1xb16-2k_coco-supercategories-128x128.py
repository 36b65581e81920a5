# One encoder and a feature pyramid as expensive as ×Net's decoder: a baseline
# for xnet_efficientnet-lite0.
_base_ = './xnet_efficientnet-lite0_1xb16-2k_coco-supercategories-128x128.py'
model = dict(
    backbone=dict(_delete_=True, **_base_.model.backbone.encoder),
    neck=dict(
        type='FPN',
        in_channels=[24, 40, 112, 320],
        out_channels=112,
        num_outs=4),
    decode_head=dict(in_channels=112, channels=64))
