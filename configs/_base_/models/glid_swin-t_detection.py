# For few labels and one GPU: Swin-T, as large as the ResNet-50 of published
# results. Queries, boxes and values begin with positions; short runs did not
# learn without them (docs/design.md, "How queries start").
_base_ = './glid_swin-b_detection.py'
model = dict(
    backbone=dict(
        embedding_positions=True,
        encoder=dict(arch='tiny', drop_path_rate=0.2),
        decoder=dict(value_positions=True)),
    bbox_head=dict(reference_points=True))
