_base_ = './glid_nano.py'
model = dict(
    type='glid_mm.GLIDDepthEstimator',
    backbone=dict(num_queries=64, embedding_std=0.5),
    decode_head=dict(
        type='glid_mm.DepthHead', in_channels=192, mask_channels=96),
    test_cfg=dict(mode='whole', flip=True))
