_base_ = ['./xnet_convnext-b.py', '../data_preprocessors/depth.py']
# Tests average an image and its mirror image, like GLID's.
model = dict(
    type='glid_mm.GLIDDepthEstimator',
    data_preprocessor=_base_.data_preprocessor,
    decode_head=dict(type='glid_mm.PixelDepthHead', in_channels=256),
    test_cfg=dict(mode='whole', flip=True))
