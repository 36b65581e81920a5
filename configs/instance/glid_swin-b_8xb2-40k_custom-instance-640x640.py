# Your own data in COCO's format: change the three settings below.
#
#   data/custom/train/                     images
#   data/custom/val/
#   data/custom/annotations/train.json     COCO instances; "segmentation" is a
#   data/custom/annotations/val.json       list of polygons, or RLE
#
# Classes have the names and the order of "categories" in the annotation
# files; any difference is an error that names it.
_base_ = './glid_swin-b_8xb2-160k_ade20k-instance-640x640.py'
data_root = 'data/custom/'
classes = ('cat', 'dog')
max_iters = 40000

metainfo = dict(classes=classes, palette=None)
train_dataloader = dict(
    dataset=dict(
        type='glid_mm.CocoInstanceDataset',
        data_root=data_root,
        ann_file='annotations/train.json',
        data_prefix=dict(img='train/'),
        metainfo=metainfo))
val_dataloader = dict(
    dataset=dict(
        type='glid_mm.CocoInstanceDataset',
        data_root=data_root,
        ann_file='annotations/val.json',
        data_prefix=dict(img='val/'),
        metainfo=metainfo))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
test_evaluator = val_evaluator
model = dict(panoptic_head=dict(num_things_classes=len(classes)))
train_cfg = dict(max_iters=max_iters)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = max_iters
