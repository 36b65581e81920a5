# Ten million parameters; a package has the weights: docs/xnet.md.
_base_ = './xnet_convnext-b_depth.py'
network = dict(name='tf_efficientnet_lite0', drop_path_rate=0.)
model = dict(
    backbone=dict(encoder=network, classifier=network, channels=64),
    decode_head=dict(in_channels=64))
