_base_ = ['./xnet_convnext-b_depth.py', './xnet_nano.py']
model = dict(backbone=_base_.backbone, decode_head=dict(in_channels=64))
