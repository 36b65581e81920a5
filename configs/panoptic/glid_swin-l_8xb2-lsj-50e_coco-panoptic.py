_base_ = './glid_swin-b_8xb2-lsj-50e_coco-panoptic.py'
model = dict(backbone=dict(encoder=dict(arch='large', drop_path_rate=0.5)))
