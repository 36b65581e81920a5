_base_ = ['./xnet_convnext-b_semantic.py', './xnet_nano.py']
model = dict(
    backbone=_base_.backbone,
    decode_head=dict(in_channels=64, channels=64, norm_cfg=dict(type='BN')))
