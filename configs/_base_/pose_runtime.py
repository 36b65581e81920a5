_base_ = './default_runtime.py'
custom_imports = dict(imports=['glid_mm.tasks.pose'])
default_scope = 'mmpose'

default_hooks = dict(
    checkpoint=dict(
        interval=10, max_keep_ckpts=3, save_best='coco/AP', rule='greater'),
    keypoints=dict(type='glid_mm.KeypointCheckHook'),
    visualization=dict(type='PoseVisualizationHook', enable=False),
    predictions=dict(type='glid_mm.PredictionHook'))
visualizer = dict(
    type='PoseLocalVisualizer',
    vis_backends=_base_.vis_backends,
    name='visualizer')
