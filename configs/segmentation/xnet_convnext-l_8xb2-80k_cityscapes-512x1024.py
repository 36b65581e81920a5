_base_ = './xnet_convnext-b_8xb2-80k_cityscapes-512x1024.py'
network = dict(name='convnext_large')
model = dict(backbone=dict(encoder=network, classifier=network))
