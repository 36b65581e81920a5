# COCO's panoptic annotations as one label per pixel, 80 things and 53 stuff:
# tools/dataset_converters/coco_panoptic_to_semantic.py writes the label maps
# and classes.txt.
_base_ = './ade20k_640x640.py'
data_root = 'data/coco'
train_pipeline = _base_.train_pipeline
train_pipeline[1] = dict(type='glid_mm.LoadSemanticMap')
test_pipeline = _base_.test_pipeline
test_pipeline[2] = dict(type='glid_mm.LoadSemanticMap')
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='BaseSegDataset',
        data_root=data_root,
        metainfo=dict(classes=f'{data_root}/semantic_train2017/classes.txt'),
        data_prefix=dict(
            img_path='train2017', seg_map_path='semantic_train2017'),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='BaseSegDataset',
        data_root=data_root,
        metainfo=dict(classes=f'{data_root}/semantic_train2017/classes.txt'),
        data_prefix=dict(img_path='val2017', seg_map_path='semantic_val2017'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
