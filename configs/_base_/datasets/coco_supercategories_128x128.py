# coco_panoptic_to_semantic.py --supercategories writes the labels into these
# folders.
_base_ = './coco_panoptic_semantic_128x128.py'
metainfo = dict(
    classes=f'{_base_.data_root}/supercategories_train2017/classes.txt')
train_dataloader = dict(
    dataset=dict(
        metainfo=metainfo,
        data_prefix=dict(seg_map_path='supercategories_train2017')))
val_dataloader = dict(
    dataset=dict(
        metainfo=metainfo,
        data_prefix=dict(seg_map_path='supercategories_val2017')))
test_dataloader = val_dataloader
