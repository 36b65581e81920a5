_base_ = [
    '../_base_/models/xnet_convnext-b_semantic.py',
    '../_base_/datasets/ade20k_640x640.py',
    '../_base_/schedules/xnet_160k.py',
    '../_base_/segmentation_runtime.py',
]
