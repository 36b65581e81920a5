# A small model for small images of your own; for files and settings, see
# glid_swin-b_8xb2-40k_custom-panoptic-640x640.py.
_base_ = './glid_nano_1xb16-600_coco-panoptic-256x256.py'
data_root = 'data/custom/'
things = ('cat', 'dog')
stuff = ('grass', 'sky')
max_iters = 7000

metainfo = dict(classes=things + stuff, palette=None)
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/panoptic_train.json',
        data_prefix=dict(img='train/', seg='panoptic_train/'),
        metainfo=metainfo))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/panoptic_val.json',
        data_prefix=dict(img='val/', seg='panoptic_val/'),
        metainfo=metainfo))
test_dataloader = val_dataloader
model = dict(
    panoptic_head=dict(
        num_things_classes=len(things), num_stuff_classes=len(stuff)))
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = max_iters
train_cfg = dict(max_iters=max_iters, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
