# A small model for small images of your own; for files and settings, see
# glid_swin-b_8xb2-50e_custom.py.
_base_ = './glid_nano_1xb16-600_coco-256x256.py'
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
# As in _base_/models/glid_swin-t_detection.py, queries begin with positions.
model = dict(
    backbone=dict(
        embedding_positions=True, decoder=dict(value_positions=True)),
    bbox_head=dict(num_classes=len(classes), reference_points=True))
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_iters, milestones=[max_iters * 4 // 5])
train_cfg = dict(max_iters=max_iters, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
