_base_ = './xnet_convnext-b_8xb2-160k_ade20k-640x640.py'
network = dict(name='convnext_large')
model = dict(backbone=dict(encoder=network, classifier=network))
