_base_ = './xnet_convnext-b_8xb2-38k_kitti-eigen-352x704.py'
network = dict(name='convnext_large')
model = dict(backbone=dict(encoder=network, classifier=network))
