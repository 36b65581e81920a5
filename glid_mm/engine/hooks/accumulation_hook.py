"""Save and restore the gradients of an unfinished accumulation."""
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from torch import Tensor

from ...registry import HOOKS
from ..wrappers import bare_model


@HOOKS.register_module()
class AccumulationHook(Hook):
    """Store gradients that no step has used yet in checkpoints.

    :class:`glid_mm.engine.Runner` registers it, and calls the methods that
    are not hook points.
    """

    def __init__(self) -> None:
        self._saved: dict[str, Tensor] = {}
        self._loaded: dict[str, Tensor] = {}

    def gather(self, runner) -> None:
        """Collect gradients for the next checkpoint; all ranks must call this.

        With several ranks, each has the gradients of its own samples, and
        the checkpoint gets their mean.
        """
        self._saved = {}
        if (accumulated(runner.optim_wrapper) == 1
                or runner.optim_wrapper.should_update()):
            return
        for name, parameter in bare_model(runner.model).named_parameters():
            if parameter.grad is not None:
                self._saved[name] = parameter.grad.clone()
                if get_world_size() > 1:
                    all_reduce(self._saved[name], 'mean')

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add them to a checkpoint that a run can resume from."""
        gradients, self._saved = self._saved, {}
        if gradients and 'optimizer' in checkpoint:
            checkpoint['gradients'] = {
                name: gradient.cpu()
                for name, gradient in gradients.items()
            }

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep the gradients of the checkpoint."""
        self._loaded = checkpoint.get('gradients', {})

    def restore(self, runner, fit: bool) -> bool:
        """Continue the run with the gradients of its checkpoint.

        Args:
            runner (Runner): Runner of the run that is resumed.
            fit: Whether it accumulates as the original run did.

        Returns:
            False if the checkpoint has gradients and they do not fit.
        """
        gradients, self._loaded = self._loaded, {}
        if gradients and not fit:
            return False
        for name, parameter in bare_model(runner.model).named_parameters():
            if name in gradients:
                parameter.grad = gradients[name].to(parameter.device)
        return True


def accumulated(optim_wrapper: OptimWrapper) -> int:
    """The number of iterations that contribute to one step.

    Args:
        optim_wrapper: A wrapper of several optimizers does not accumulate.
    """
    return getattr(optim_wrapper, '_accumulative_counts', 1)


def count_quietly(optim_wrapper: OptimWrapper) -> None:
    """Silence an optimizer wrapper's warning about kept gradients.

    Args:
        optim_wrapper: The wrapper of a run with an :class:`AccumulationHook`.
            Its warning would name a hook that does not exist.
    """
    initialize = optim_wrapper.initialize_count_status
    every = accumulated(optim_wrapper)

    def initialize_count_status(model, init_counts, max_counts) -> None:
        initialize(model, init_counts - init_counts % every, max_counts)
        optim_wrapper._inner_count = init_counts

    optim_wrapper.initialize_count_status = initialize_count_status
