# As in _base_/models/glid_swin-t_detection.py, queries begin with positions.
_base_ = './glid_swin-b_8xb2-50e_custom.py'
model = dict(
    backbone=dict(
        embedding_positions=True,
        encoder=dict(arch='tiny', drop_path_rate=0.2),
        decoder=dict(value_positions=True)),
    bbox_head=dict(reference_points=True))
