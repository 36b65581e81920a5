# COCO's 27 supercategories in place of its 133 categories, for a hundred
# photographs: coco_panoptic_to_semantic.py --supercategories makes the labels.
_base_ = './glid_nano_1xb16-2k_coco-panoptic-semantic-128x128.py'
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
model = dict(decode_head=dict(num_classes=27))
