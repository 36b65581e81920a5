_base_ = './glid_swin-t_8xb2-50e_custom.py'
model = dict(backbone=dict(encoder=dict(arch='small', drop_path_rate=0.3)))
