# Your own data: change the three settings below.
#
#   data/custom/images/train/photo.jpg     or .png, .tif, .webp, ...
#   data/custom/images/val/
#   data/custom/labels/train/photo.png     one channel: 0 is the first class,
#   data/custom/labels/val/                1 the second, ..., 255 unlabelled
#
# If another number means unlabelled, set model.decode_head.ignore_index to it;
# loading, padding and the metric use it, too.
_base_ = './glid_swin-b_8xb2-160k_ade20k-640x640.py'
data_root = 'data/custom'
classes = ('road', 'tree', 'house')
max_iters = 40000

# In ADE20K a label of 0 means unlabelled; here it is the first class.
train_pipeline = _base_.train_pipeline
train_pipeline[1].reduce_zero_label = False
test_pipeline = _base_.test_pipeline
test_pipeline[2].reduce_zero_label = False
dataset = dict(
    _delete_=True,
    type='glid_mm.SemanticDataset',
    data_root=data_root,
    metainfo=dict(classes=classes))
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        pipeline=train_pipeline,
        **dataset))
val_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        pipeline=test_pipeline,
        **dataset))
test_dataloader = val_dataloader
model = dict(decode_head=dict(num_classes=len(classes)))
train_cfg = dict(max_iters=max_iters)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = max_iters
