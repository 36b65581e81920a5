_base_ = ['./xnet_convnext-b_semantic.py', './xnet_efficientnet-lite0.py']
model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone,
    decode_head=dict(in_channels=64, channels=64, norm_cfg=dict(type='BN')))
