_base_ = ['./glid_nano.py', '../data_preprocessors/pretrain.py']
model = dict(
    type='glid_mm.GLIDPretrainer',
    data_preprocessor=_base_.data_preprocessor,
    head=dict(type='glid_mm.PixelHead', in_channels=192))
