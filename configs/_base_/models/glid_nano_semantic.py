_base_ = './glid_nano.py'
# Starting apart, queries learn sooner in a short run: docs/design.md.
model = dict(
    type='glid_mm.GLIDSegmentor',
    backbone=dict(embedding_std=0.5),
    decode_head=dict(
        type='glid_mm.SemanticHead',
        in_channels=192,
        mask_channels=96,
        train_cfg=dict(num_points=2048)),
    test_cfg=dict(mode='whole'))
