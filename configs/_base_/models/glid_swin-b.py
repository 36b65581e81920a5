# Encoder, neck and decoder of the paper (§4 and §3.2, "Architecture").
model = dict(
    backbone=dict(
        type='glid_mm.GLID',
        encoder=dict(arch='base'),
        neck=dict(channels=256, num_layers=3),
        decoder=dict(dims=512, num_layers=6, num_heads=16, ffn_dims=2048)))
