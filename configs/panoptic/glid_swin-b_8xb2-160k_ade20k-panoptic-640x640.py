_base_ = [
    '../_base_/models/glid_swin-b_masks.py',
    '../_base_/datasets/ade20k_panoptic_640x640.py',
    '../_base_/schedules/segmentation_160k.py',
    '../_base_/panoptic_runtime.py',
]
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    panoptic_head=dict(num_things_classes=100, num_stuff_classes=50),
    test_cfg=dict(object_mask_thr=0.8, iou_thr=0.8, filter_low_score=True))
