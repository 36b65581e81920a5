"""Seed the generators at the start of every training iteration."""
from mmengine.hooks import Hook

from ...registry import HOOKS
from ..randomness import seed_iteration


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Make a model's random numbers a function of seed and iteration.

    :class:`glid_mm.engine.Runner` registers it.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self,
                          runner,
                          batch_idx: int,
                          data_batch=None) -> None:
        """Seed Python's, NumPy's and PyTorch's global generators."""
        seed_iteration(runner.seed, runner.iter)
