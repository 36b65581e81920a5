"""Stop a run at a NaN or infinite loss, before its weights are damaged."""
from collections.abc import Iterator

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from torch import Tensor
from torch.optim import Optimizer

from ...errors import UserError
from ...registry import HOOKS
from ..arrival import Arrival, works_ahead
from ..wrappers import bare_model


class NonFiniteLossError(UserError):
    """A loss is NaN or infinite."""


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop before a NaN or infinite loss reaches the weights.

    The batch changes neither the weights, nor the optimizer's state, nor the
    last checkpoint. The hook ignores infinite *gradients* of a finite loss; a
    ``GradScaler`` expects them.

    On a CPU the check runs between forward and backward. On a GPU it would
    leave the device idle, so it runs one iteration later, and before anything
    is saved or evaluated; meanwhile a fused optimizer skips the step on the
    device. With other optimizers the check precedes the backward pass on GPUs
    too.

    With several ranks the check costs one all-reduce of a scalar.
    """

    def before_train(self, runner) -> None:
        """Start to watch the model's losses."""
        model = bare_model(runner.model)
        self._runner = runner
        self._pending: LossCheck | None = None
        self._handles = [
            model.register_forward_hook(self._after_forward, with_kwargs=True)
        ]
        optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
        self._deferred = _skips_steps(optimizer) and all(
            works_ahead(p.device) for p in model.parameters())
        if self._deferred:
            self._handles += [
                optimizer.register_step_pre_hook(self._before_step),
                optimizer.register_step_post_hook(self._after_step)
            ]

    def watch(self, losses: dict, data, iteration: int) -> None:
        """Stop if losses, or earlier losses not checked yet, are not finite.

        Args:
            losses: See :class:`LossCheck`.
            data: See :class:`LossCheck`.
            iteration: Iterations before this one.

        Raises:
            NonFiniteLossError: See :meth:`LossCheck.stop_unless_finite`.
        """
        self._settle()
        check = LossCheck(losses, data, iteration)
        if self._deferred:
            self._pending = check
        else:
            check.stop_unless_finite()

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Stop before saving if the loss is not finite."""
        self._settle()

    def before_val(self, runner) -> None:
        """Stop before evaluating if the loss is not finite."""
        self._settle()

    def after_train_epoch(self, runner) -> None:
        """Stop before the next epoch if the loss is not finite."""
        self._settle()

    def after_train(self, runner) -> None:
        """Check the last loss, and stop watching."""
        self._settle()
        for handle in self._handles:
            handle.remove()

    def _settle(self) -> None:
        check, self._pending = self._pending, None
        if check is not None:
            check.stop_unless_finite()

    def _after_forward(self, module, args, kwargs, losses) -> None:
        if kwargs.get('mode') == 'loss' and module.training:
            self.watch(losses, (args, kwargs), self._runner.iter)

    def _before_step(self, optimizer: Optimizer, args, kwargs) -> None:
        if self._pending is None:
            return
        # A GradScaler may have set it, too.
        found = getattr(optimizer, 'found_inf', None)
        stop = self._pending.stop
        self._borrowed = found is None
        optimizer.found_inf = stop if found is None else stop.maximum(found)

    def _after_step(self, optimizer: Optimizer, args, kwargs) -> None:
        if self._pending is not None and self._borrowed:
            del optimizer.found_inf


class LossCheck:
    """Check in all ranks whether the losses of a batch are finite.

    Args:
        losses: Result of ``model(..., mode='loss')``: tensors and lists of
            tensors; those named ``*loss*`` count.
        data: The batch, nested in any way; its images are read from objects
            with ``metainfo``.
        iteration: Iterations before this one.

    Attributes:
        stop (Tensor): On the losses' device, 1 if one of them is not finite
            in some rank, else 0.
    """

    def __init__(self, losses: dict, data, iteration: int) -> None:
        terms = {
            name: _mean(value)
            for name, value in losses.items() if 'loss' in name
        }
        self.names = list(terms)
        self.iteration = iteration
        self.images = list(image_paths(data))
        self.values = torch.stack(list(terms.values()) or [torch.zeros(())])
        self.stop = (~self.values.isfinite().all()).float()
        if get_world_size() > 1:
            all_reduce(self.stop, 'max')
        self._arrival = Arrival(self.stop)

    def stop_unless_finite(self) -> None:
        """Raise if a loss is not finite.

        Raises:
            NonFiniteLossError: In all ranks, if one has a loss that is not
                finite; the error of that rank names the images.
        """
        if not self._arrival.get().item():
            return
        values = self.values.tolist()
        if self.values.isfinite().all():
            raise NonFiniteLossError(
                f'iteration {self.iteration + 1}: the loss of another process '
                'is not finite; its message names the images')
        values = ', '.join(f'{name}={value:.4g}'
                           for name, value in zip(self.names, values))
        images = '\n  '.join(self.images) or '(the batch names none)'
        raise NonFiniteLossError(
            f'iteration {self.iteration + 1}: the loss is not finite: '
            f'{values}. This batch has changed neither the weights nor the '
            'last checkpoint. Check its images and annotations; if they are '
            'correct, lower the learning rate, clip gradients '
            '(optim_wrapper.clip_grad), or train in fp32 (--no-amp). '
            f'Images:\n  {images}')


def image_paths(data) -> Iterator[str]:
    """Paths of the images of a nested batch, from ``metainfo``."""
    if isinstance(data, dict):
        data = data.values()
    if hasattr(data, 'metainfo'):
        path = data.get('img_path')
        if path is not None:
            yield str(path)
    elif not isinstance(data, (str, torch.Tensor)):
        try:
            parts = iter(data)
        except TypeError:
            return
        for part in parts:
            yield from image_paths(part)


def _mean(value) -> Tensor:
    """The mean of a loss, which is a tensor or a list of tensors."""
    if not isinstance(value, Tensor):
        return torch.stack([_mean(part) for part in value]).mean()
    value = value.detach().float()
    return value.mean() if value.ndim else value


def _skips_steps(optimizer: Optimizer | None) -> bool:
    """Whether an optimizer skips the step itself if ``found_inf`` is set.

    PyTorch's fused optimizers do, for ``GradScaler``.
    """
    return getattr(optimizer, '_step_supports_amp_scaling', False) and all(
        group.get('fused') for group in optimizer.param_groups)
