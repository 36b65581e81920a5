"""Training: data order, seeds, checkpoints, optimizer rules."""
from ..compat import prepare

prepare('mmengine', task='training')

from .bf16 import BF16OptimWrapper  # noqa: E402
from .hooks.checkpoint_hook import CheckpointHook  # noqa: E402
from .hooks.class_check_hook import ClassCheckHook  # noqa: E402
from .hooks.damaged_images_hook import DamagedImagesHook  # noqa: E402
from .hooks.finite_loss_hook import FiniteLossHook  # noqa: E402
from .hooks.finite_loss_hook import NonFiniteLossError  # noqa: E402
from .hooks.iter_timer_hook import IterTimerHook  # noqa: E402
from .hooks.iteration_seed_hook import IterationSeedHook  # noqa: E402
from .hooks.logger_hook import LoggerHook  # noqa: E402
from .interruption import Interrupted  # noqa: E402
from .log import LogProcessor  # noqa: E402
from .optim import GLIDOptimWrapperConstructor  # noqa: E402
from .randomness import shared_generator  # noqa: E402
from .runner import Runner  # noqa: E402
from .trackers import MLflowTracker, WandbTracker  # noqa: E402

__all__ = [
    'BF16OptimWrapper', 'CheckpointHook', 'ClassCheckHook',
    'DamagedImagesHook', 'FiniteLossHook', 'GLIDOptimWrapperConstructor',
    'Interrupted', 'IterTimerHook', 'IterationSeedHook', 'LogProcessor',
    'LoggerHook', 'MLflowTracker', 'NonFiniteLossError', 'Runner',
    'WandbTracker', 'shared_generator'
]
