_base_ = './default_runtime.py'
custom_imports = dict(imports=['glid_mm.tasks.detection'])
default_scope = 'mmdet'

default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=3, save_best='coco/bbox_mAP'),
    classes=dict(type='glid_mm.ClassCheckHook'),
    visualization=dict(type='DetVisualizationHook'))
visualizer = dict(
    type='DetLocalVisualizer',
    vis_backends=[dict(type='LocalVisBackend')],
    name='visualizer')
