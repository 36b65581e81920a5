_base_ = './default_runtime.py'
custom_imports = dict(imports=['glid_mm.tasks.pretraining'])
default_scope = 'mmpretrain'

default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=3),
    damaged_images=dict(type='glid_mm.DamagedImagesHook'),
    reconstruction=dict(type='glid_mm.ReconstructionHook', interval=1000))
