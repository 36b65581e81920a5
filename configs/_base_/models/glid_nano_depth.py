_base_ = ['./glid_nano.py', '../data_preprocessors/depth.py']
model = dict(
    type='glid_mm.GLIDDepthEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=64, embedding_std=0.5),
    decode_head=dict(
        type='glid_mm.DepthHead', in_channels=192, mask_channels=96),
    test_cfg=dict(mode='whole', flip=True))
