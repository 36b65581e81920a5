# Ten million parameters; weights come from a package: docs/xnet.md.
lite0 = dict(name='tf_efficientnet_lite0', drop_path_rate=0.)
backbone = dict(encoder=lite0, classifier=lite0, channels=64)
# The normalization that the weights were trained with.
normalization = dict(mean=[127.] * 3, std=[128.] * 3)
