# Your own data with any number of keypoints, in the format of COCO's
# keypoints: change the settings below and configs/_base_/datasets/
# custom_keypoints.py, which defines the keypoints.
#
#   data/custom/train/                     images
#   data/custom/val/
#   data/custom/annotations/train.json     COCO keypoints
#   data/custom/annotations/val.json
#
# The model has one query per keypoint. Any inconsistency is an error that
# names it.
_base_ = './glid_swin-b_8xb64-210e_coco-256x192.py'
data_root = 'data/custom/'
num_keypoints = 5
metainfo = dict(from_file='{{ fileDirname }}/../_base_/datasets/'
                'custom_keypoints.py')
max_epochs = 210

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
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/val.json',
        bbox_file=None,
        data_prefix=dict(img='val/'),
        metainfo=metainfo))
model = dict(backbone=dict(num_queries=num_keypoints))
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
# Counted in epochs, since small data sets have few iterations.
param_scheduler[0].update(by_epoch=True, end=5, convert_to_iter_based=True)
param_scheduler[1].update(end=max_epochs, milestones=[max_epochs * 4 // 5])
