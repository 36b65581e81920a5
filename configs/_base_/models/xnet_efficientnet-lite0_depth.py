_base_ = ['./xnet_convnext-b_depth.py', './xnet_efficientnet-lite0.py']
model = dict(
    data_preprocessor=_base_.normalization,
    backbone=_base_.backbone,
    decode_head=dict(in_channels=64))
