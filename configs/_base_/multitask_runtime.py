_base_ = './default_runtime.py'
default_scope = 'mmengine'

# A batch may lack some tasks, and then it uses only some heads.
find_unused_parameters = True

# Metrics are logged by iteration, like losses.
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=5000, max_keep_ckpts=3))
