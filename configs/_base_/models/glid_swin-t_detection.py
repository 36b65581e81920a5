# For few labels and one GPU: Swin-T, as large as the ResNet-50 that figures of
# others have. Queries, boxes and values begin with positions, without which
# short runs did not learn (docs/design.md, "How queries start").
_base_ = './glid_swin-b.py'
model = dict(
    type='glid_mm.GLIDDetector',
    backbone=dict(
        num_queries=300 + 1500,
        embedding_positions=True,
        encoder=dict(arch='tiny', drop_path_rate=0.2),
        decoder=dict(value_positions=True)),
    bbox_head=dict(
        type='glid_mm.BoxHead',
        num_classes=80,
        in_channels=512,
        one_to_many_queries=1500,
        one_to_many_repeats=6,
        reference_points=True),
    test_cfg=dict(max_per_img=300))
