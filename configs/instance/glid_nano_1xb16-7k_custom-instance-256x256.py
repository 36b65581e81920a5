# A small model for small images of your own; for files and settings, see
# glid_swin-b_8xb2-40k_custom-instance-640x640.py.
_base_ = './glid_nano_1xb16-600_coco-instance-256x256.py'
data_root = 'data/custom/'
classes = ('cat', 'dog')
max_iters = 7000

metainfo = dict(classes=classes, palette=None)
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/train.json',
        data_prefix=dict(img='train/'),
        metainfo=metainfo))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/val.json',
        data_prefix=dict(img='val/'),
        metainfo=metainfo))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
test_evaluator = val_evaluator
model = dict(panoptic_head=dict(num_things_classes=len(classes)))
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = max_iters
train_cfg = dict(max_iters=max_iters, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
