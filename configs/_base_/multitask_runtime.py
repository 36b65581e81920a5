_base_ = './default_runtime.py'
default_scope = 'mmengine'

# A batch need not have all tasks, and so not all heads.
find_unused_parameters = True

# Metrics are logged by the iteration, as losses are.
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=5000, max_keep_ckpts=3))
