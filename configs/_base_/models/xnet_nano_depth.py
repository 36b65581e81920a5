# A million parameters, for small images and machines without a GPU.
_base_ = './xnet_convnext-b_depth.py'
network = dict(
    name='convnext_atto',
    depths=(1, 1, 2, 1),
    dims=(24, 48, 96, 192),
    drop_path_rate=0.)
model = dict(
    backbone=dict(encoder=network, classifier=network, channels=64),
    decode_head=dict(in_channels=64))
