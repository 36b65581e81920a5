# Your own data: change the settings below.
#
#   data/custom/images/train/photo.jpg     .jpg, .jpeg or .png
#   data/custom/images/val/
#   data/custom/depth/train/photo.png      16 bits, of the image's size,
#   data/custom/depth/val/                 0 where depth is unknown
_base_ = './glid_swin-b_8xb2-38k_nyu-416x544.py'
data_root = 'data/custom'
metres_per_unit = 1e-3  # depth maps in millimetres
depth_range = dict(min_depth=0.1, max_depth=10.)
max_iters = 38400

# NYUv2's own size and crops, without the cut for its frame.
size = dict(type='Resize', scale=(640, 480), keep_ratio=True)
depth = dict(type='glid_mm.LoadDepth', depth_rescale_factor=metres_per_unit)
train_pipeline = _base_.train_pipeline
train_pipeline[1:3] = [depth, size]
test_pipeline = _base_.test_pipeline
test_pipeline[1:3] = [size, depth]
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        data_prefix=dict(
            img_path='images/train', depth_map_path='depth/train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        data_prefix=dict(img_path='images/val', depth_map_path='depth/val'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    crop_type=None,
    min_depth_eval=depth_range['min_depth'],
    max_depth_eval=depth_range['max_depth'])
test_evaluator = val_evaluator
model = dict(decode_head=depth_range)
train_cfg = dict(max_iters=max_iters)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = max_iters // 3
param_scheduler[1].update(begin=max_iters // 3, end=max_iters)
