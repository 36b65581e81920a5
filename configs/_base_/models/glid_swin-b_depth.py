_base_ = ['./glid_swin-b.py', '../data_preprocessors/depth.py']
# One query per bin. Tests average an image and its mirror image.
model = dict(
    type='glid_mm.GLIDDepthEstimator',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=64, encoder=dict(drop_path_rate=0.3)),
    decode_head=dict(
        type='glid_mm.DepthHead', in_channels=512, mask_channels=256),
    test_cfg=dict(mode='whole', flip=True))
