_base_ = './xnet_convnext-b_8xb2-38k_nyu-416x544.py'
network = dict(name='convnext_large')
model = dict(backbone=dict(encoder=network, classifier=network))
