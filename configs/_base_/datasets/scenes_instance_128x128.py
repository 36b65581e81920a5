# Scenes with masks and boxes.
_base_ = './scenes_detection_128x128.py'
dataset_type = 'glid_mm.CocoInstanceDataset'
annotations = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
train_pipeline = _base_.train_pipeline
train_pipeline[1] = annotations
test_pipeline = _base_.test_pipeline
test_pipeline[2] = annotations
train_dataloader = dict(
    dataset=dict(type=dataset_type, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type=dataset_type, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(metric=['bbox', 'segm'])
test_evaluator = val_evaluator
