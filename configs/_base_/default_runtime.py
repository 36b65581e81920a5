# Settings of every run, for all tasks. The runtime of a task sets its
# OpenMMLab library in ``default_scope`` and adds its visualization.
runner_type = 'glid_mm.Runner'

# A run is a function of its config and this seed: a run that is interrupted
# anywhere and resumed reaches the same final weights.
randomness = dict(seed=0, deterministic=False)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    # Without a GPU, gloo replaces it.
    dist_cfg=dict(backend='nccl'))

default_hooks = dict(
    timer=dict(type='glid_mm.IterTimerHook'),
    logger=dict(type='glid_mm.LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='glid_mm.CheckpointHook', interval=1),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    finite_loss=dict(type='glid_mm.FiniteLossHook'))

log_processor = dict(type='glid_mm.LogProcessor', window_size=50)
log_level = 'INFO'

# ``load_from`` initializes weights; ``resume`` continues a run.
load_from = None
resume = False

# Scalars go to a file in the work dir and, if installed, to TensorBoard. The
# visualizer of a task draws predictions, too.
vis_backends = [
    dict(type='LocalVisBackend'),
    dict(type='TensorboardVisBackend'),
]
visualizer = dict(
    type='Visualizer', vis_backends=vis_backends, name='visualizer')
