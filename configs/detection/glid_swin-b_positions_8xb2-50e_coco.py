# Not in the paper: queries, boxes and values begin with positions. Short runs
# of a nano model did not learn without them (docs/design.md, "How queries
# start"). Not measured at this size.
_base_ = './glid_swin-b_8xb2-50e_coco.py'
model = dict(
    backbone=dict(
        embedding_positions=True, decoder=dict(value_positions=True)),
    bbox_head=dict(reference_points=True))
