_base_ = [
    '../_base_/models/glid_nano.py',
    '../_base_/datasets/scenes_semantic_128x128.py',
    '../_base_/schedules/segmentation_nano.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    type='glid_mm.GLIDSegmentor',
    data_preprocessor=_base_.data_preprocessor,
    # Starting apart, queries learn sooner in a short run: docs/design.md.
    backbone=dict(num_queries=20, embedding_std=0.5),
    decode_head=dict(
        type='glid_mm.SemanticHead',
        num_classes=7,
        in_channels=192,
        mask_channels=96,
        train_cfg=dict(num_points=2048)),
    test_cfg=dict(mode='whole'))
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
