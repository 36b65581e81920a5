_base_ = './default_runtime.py'
custom_imports = dict(imports=['glid_mm.tasks.panoptic'])
default_scope = 'mmdet'

# Metrics are logged by iteration, like losses.
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=5000, max_keep_ckpts=3),
    classes=dict(type='glid_mm.ClassCheckHook'),
    visualization=dict(type='DetVisualizationHook'),
    predictions=dict(type='glid_mm.PredictionHook'))
visualizer = dict(
    type='glid_mm.PanopticVisualizer',
    vis_backends=_base_.vis_backends,
    name='visualizer')
