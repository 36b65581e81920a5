# A small model for your own keypoints; for files and settings, see
# glid_swin-b_8xb64-210e_custom-256x192.py.
_base_ = './glid_nano_1xb16-600_coco-256x192.py'
data_root = 'data/custom/'
num_keypoints = 5
metainfo = dict(from_file='{{ fileDirname }}/../_base_/datasets/'
                'custom_keypoints.py')
max_iters = 7000

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
model = dict(backbone=dict(num_queries=num_keypoints))
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = max_iters
train_cfg = dict(max_iters=max_iters, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
