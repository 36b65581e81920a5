_base_ = [
    '../_base_/models/glid_swin-b_masks.py',
    '../_base_/datasets/coco_panoptic_1024x1024.py',
    '../_base_/schedules/masks_50e.py',
    '../_base_/panoptic_runtime.py',
]
# All batches have one shape; padding is neither seen nor supervised.
data_preprocessor = _base_.data_preprocessor
data_preprocessor.batch_augments = [
    dict(type='BatchFixedSizePad', size=_base_.image_size)
]
model = dict(
    data_preprocessor=data_preprocessor,
    panoptic_head=dict(num_things_classes=80, num_stuff_classes=53),
    test_cfg=dict(object_mask_thr=0.8, iou_thr=0.8, filter_low_score=True))
# By the epoch, unlike the other configs of this folder.
log_processor = dict(by_epoch=True)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True),
    checkpoint=dict(by_epoch=True, interval=1))
