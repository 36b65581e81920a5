_base_ = './masks_runtime.py'
default_hooks = dict(
    checkpoint=dict(save_best='coco_panoptic/PQ', rule='greater'))
