_base_ = ['./glid_nano.py', '../data_preprocessors/semantic.py']
# Different starts make queries learn faster in short runs: docs/design.md.
model = dict(
    type='glid_mm.GLIDSegmentor',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=50, embedding_std=0.5),
    decode_head=dict(
        type='glid_mm.SemanticHead',
        in_channels=192,
        mask_channels=96,
        train_cfg=dict(num_points=2048)),
    test_cfg=dict(mode='whole'))
