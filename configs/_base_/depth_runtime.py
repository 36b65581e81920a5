_base_ = './default_runtime.py'
custom_imports = dict(imports=['glid_mm.tasks.depth'])
default_scope = 'mmseg'

# Metrics are logged by iteration, like losses.
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(
        by_epoch=False,
        interval=1600,
        max_keep_ckpts=3,
        save_best='rmse',
        rule='less'),
    visualization=dict(type='SegVisualizationHook'),
    predictions=dict(type='glid_mm.PredictionHook'))
visualizer = dict(
    type='glid_mm.DepthVisualizer',
    vis_backends=_base_.vis_backends,
    name='visualizer')
