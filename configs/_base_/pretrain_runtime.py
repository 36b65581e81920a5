_base_ = './default_runtime.py'
custom_imports = dict(imports=['glid_mm.tasks.pretraining'])
default_scope = 'mmpretrain'

data_preprocessor = dict(
    type='glid_mm.CropPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True)

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=3),
    damaged_images=dict(type='glid_mm.DamagedImagesHook'),
    reconstruction=dict(type='glid_mm.ReconstructionHook', interval=1000))
