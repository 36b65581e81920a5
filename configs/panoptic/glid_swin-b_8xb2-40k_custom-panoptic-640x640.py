# Your own data in COCO's panoptic format: change the four settings below.
#
#   data/custom/train/photo.jpg            images
#   data/custom/val/
#   data/custom/panoptic_train/photo.png   a colour for each segment of the
#   data/custom/panoptic_val/              image, black is unlabelled
#   data/custom/annotations/panoptic_train.json
#   data/custom/annotations/panoptic_val.json
#
# In the JSON, an image's "segments_info" lists each colour (id = R + 256·G +
# 256²·B) and its category; "isthing" of a category tells whether its objects
# are separate. Classes have the names of "categories", things first and
# otherwise in that order; any difference is an error that names it.
_base_ = './glid_swin-b_8xb2-160k_ade20k-panoptic-640x640.py'
data_root = 'data/custom/'
things = ('cat', 'dog')
stuff = ('grass', 'sky')
max_iters = 40000

metainfo = dict(classes=things + stuff, palette=None)
train_dataloader = dict(
    dataset=dict(
        type='glid_mm.CocoPanopticDataset',
        data_root=data_root,
        ann_file='annotations/panoptic_train.json',
        data_prefix=dict(img='train/', seg='panoptic_train/'),
        metainfo=metainfo))
val_dataloader = dict(
    dataset=dict(
        type='glid_mm.CocoPanopticDataset',
        data_root=data_root,
        ann_file='annotations/panoptic_val.json',
        data_prefix=dict(img='val/', seg='panoptic_val/'),
        metainfo=metainfo))
test_dataloader = val_dataloader
model = dict(
    panoptic_head=dict(
        num_things_classes=len(things), num_stuff_classes=len(stuff)))
train_cfg = dict(max_iters=max_iters)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = max_iters
