_base_ = './default_runtime.py'
custom_imports = dict(imports=['glid_mm.tasks.detection'])
default_scope = 'mmdet'

default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=3, save_best='coco/bbox_mAP'),
    classes=dict(type='glid_mm.ClassCheckHook'),
    visualization=dict(type='DetVisualizationHook'),
    predictions=dict(type='glid_mm.PredictionHook'))
visualizer = dict(
    type='DetLocalVisualizer',
    vis_backends=_base_.vis_backends,
    name='visualizer')
