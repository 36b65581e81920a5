from .checkpoint_hook import CheckpointHook
from .finite_loss_hook import FiniteLossHook, NonFiniteLossError
from .iteration_seed_hook import IterationSeedHook

__all__ = [
    'CheckpointHook', 'FiniteLossHook', 'IterationSeedHook',
    'NonFiniteLossError'
]
