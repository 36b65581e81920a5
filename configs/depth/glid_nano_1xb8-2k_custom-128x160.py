# A small model for small images of your own; for files and settings, see
# glid_swin-b_8xb2-38k_custom-416x544.py.
_base_ = './glid_nano_1xb8-600_rgbd-128x160.py'
data_root = 'data/custom'
metres_per_unit = 1e-3  # depth maps in millimetres
depth_range = dict(min_depth=0.1, max_depth=10.)
max_iters = 2000

train_pipeline = _base_.train_pipeline
train_pipeline[1].depth_rescale_factor = metres_per_unit
test_pipeline = _base_.test_pipeline
test_pipeline[2].depth_rescale_factor = metres_per_unit
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='',
        data_prefix=dict(
            img_path='images/train', depth_map_path='depth/train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='',
        data_prefix=dict(img_path='images/val', depth_map_path='depth/val'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    min_depth_eval=depth_range['min_depth'],
    max_depth_eval=depth_range['max_depth'])
test_evaluator = val_evaluator
model = dict(decode_head=depth_range)
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = max_iters
train_cfg = dict(max_iters=max_iters, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
