_base_ = [
    '../_base_/models/glid_swin-s_pretrain.py',
    '../_base_/datasets/imagenet_pretrain_192.py',
    '../_base_/schedules/pretrain_600e.py',
    '../_base_/pretrain_runtime.py',
]
