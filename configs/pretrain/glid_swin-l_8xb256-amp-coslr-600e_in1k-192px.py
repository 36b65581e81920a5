_base_ = './glid_swin-b_8xb256-amp-coslr-600e_in1k-192px.py'
model = dict(backbone=dict(encoder=dict(arch='large')))
