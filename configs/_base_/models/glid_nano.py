# Five million parameters, for small images and machines without a GPU.
model = dict(
    backbone=dict(
        type='glid_mm.GLID',
        encoder=dict(arch='nano'),
        neck=dict(channels=96, num_layers=2),
        decoder=dict(dims=192, num_layers=4, num_heads=6, ffn_dims=768)))
