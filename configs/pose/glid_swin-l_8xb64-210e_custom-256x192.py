_base_ = './glid_swin-b_8xb64-210e_custom-256x192.py'
model = dict(backbone=dict(encoder=dict(arch='large')))
