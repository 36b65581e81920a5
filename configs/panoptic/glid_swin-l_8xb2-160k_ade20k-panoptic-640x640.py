_base_ = [
    '../_base_/models/glid_swin-l_panoptic.py',
    '../_base_/datasets/ade20k_panoptic_640x640.py',
    '../_base_/schedules/segmentation_160k.py',
    '../_base_/panoptic_runtime.py',
]
model = dict(panoptic_head=dict(num_things_classes=100, num_stuff_classes=50))
