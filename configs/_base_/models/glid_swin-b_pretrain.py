_base_ = ['./glid_swin-b.py', '../data_preprocessors/pretrain.py']
model = dict(
    type='glid_mm.GLIDPretrainer',
    data_preprocessor=_base_.data_preprocessor,
    head=dict(type='glid_mm.PixelHead', in_channels=512),
    mask_ratio=0.75,
    mask_strategy='random')
