_base_ = [
    '../_base_/models/glid_swin-b_masks.py',
    '../_base_/datasets/ade20k_instance_640x640.py',
    '../_base_/schedules/segmentation_160k.py',
    '../_base_/instance_runtime.py',
]
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    panoptic_head=dict(num_things_classes=100),
    test_cfg=dict(panoptic_on=False, instance_on=True, max_per_image=100))
