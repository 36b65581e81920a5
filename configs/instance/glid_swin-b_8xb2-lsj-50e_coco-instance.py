_base_ = [
    '../_base_/models/glid_swin-b_instance.py',
    '../_base_/datasets/coco_instance_1024x1024.py',
    '../_base_/schedules/masks_50e.py',
    '../_base_/instance_runtime.py',
]
model = dict(
    # All batches have the same shape; padding is masked and not supervised.
    data_preprocessor=dict(batch_augments=[
        dict(type='BatchFixedSizePad', size=_base_.image_size)
    ]),
    panoptic_head=dict(num_things_classes=80))
# Counted in epochs, unlike the other configs of this folder.
log_processor = dict(by_epoch=True)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True),
    checkpoint=dict(by_epoch=True, interval=1))
