# For trying things out on few photographs: a small model on small crops.
_base_ = [
    '../_base_/models/glid_nano.py',
    '../_base_/datasets/coco_panoptic_semantic_128x128.py',
    '../_base_/schedules/segmentation_nano.py',
    '../_base_/segmentation_runtime.py',
]
model = dict(
    type='glid_mm.GLIDSegmentor',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(num_queries=50, embedding_std=0.5),
    decode_head=dict(
        type='glid_mm.SemanticHead',
        num_classes=133,
        in_channels=192,
        mask_channels=96,
        train_cfg=dict(num_points=2048)),
    test_cfg=dict(mode='whole'))
default_hooks = dict(checkpoint=dict(interval=500, max_keep_ckpts=1))
