_base_ = './default_runtime.py'
custom_imports = dict(imports=['glid_mm.tasks.segmentation'])
default_scope = 'mmseg'

# Metrics are logged by iteration, like losses.
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(
        by_epoch=False, interval=5000, max_keep_ckpts=3, save_best='mIoU'),
    visualization=dict(type='SegVisualizationHook'),
    predictions=dict(type='glid_mm.PredictionHook'),
    classes=dict(type='glid_mm.ClassCheckHook'),
    labels=dict(type='glid_mm.LabelCheckHook'))
visualizer = dict(
    type='SegLocalVisualizer',
    vis_backends=_base_.vis_backends,
    name='visualizer')
