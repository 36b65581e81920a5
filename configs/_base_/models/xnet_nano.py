# A million parameters, for small images and machines without a GPU.
nano = dict(
    name='convnext_atto',
    depths=(1, 1, 2, 1),
    dims=(24, 48, 96, 192),
    drop_path_rate=0.)
backbone = dict(encoder=nano, classifier=nano, channels=64)
