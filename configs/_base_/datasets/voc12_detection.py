# PASCAL VOC 2012 in three parts: tools/dataset_converters/split_names.py
# writes the lists (docs/yardsticks.md). Photographs are 500 pixels long; they
# are resized like COCO's, but to 0.64 of the size.
_base_ = './coco_detection.py'
dataset_type = 'VOCDataset'
data_root = 'data/VOCdevkit/'
data_prefix = dict(sub_data_root='VOC2012/')
scales = [(short, 853) for short in range(320, 513, 32)]
train_pipeline = _base_.train_pipeline
resized, cropped = train_pipeline[3].transforms
resized[0].scales = cropped[2].scales = scales
cropped[0].scales = [(256, 4200), (320, 4200), (384, 4200)]
cropped[1].crop_size = (256, 384)
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (853, 512)
images = dict(
    _delete_=True,
    type=dataset_type,
    data_root=data_root,
    data_prefix=data_prefix)
held_out = dict(images, test_mode=True, pipeline=test_pipeline)
train_dataloader = dict(
    dataset=dict(
        images,
        ann_file='VOC2012/ImageSets/glid/labelled.txt',
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(held_out, ann_file='VOC2012/ImageSets/glid/held_out.txt'))
test_dataloader = dict(
    dataset=dict(held_out, ann_file='VOC2012/ImageSets/Main/val.txt'))
val_evaluator = dict(
    _delete_=True, type='VOCMetric', metric='mAP', eval_mode='area')
test_evaluator = val_evaluator
