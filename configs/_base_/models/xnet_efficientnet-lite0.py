# Ten million parameters; a package has the weights: docs/xnet.md.
lite0 = dict(name='tf_efficientnet_lite0', drop_path_rate=0.)
backbone = dict(encoder=lite0, classifier=lite0, channels=64)
# As the weights know images.
normalization = dict(mean=[127.] * 3, std=[128.] * 3)
