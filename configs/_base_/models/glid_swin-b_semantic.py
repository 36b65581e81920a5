_base_ = ['./glid_swin-b.py', '../data_preprocessors/semantic.py']
model = dict(
    type='glid_mm.GLIDSegmentor',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=100, encoder=dict(drop_path_rate=0.3)),
    decode_head=dict(
        type='glid_mm.SemanticHead', in_channels=512, mask_channels=256),
    test_cfg=dict(mode='whole'))
