"""Stops a run whose loss is no longer a number, while it can be saved."""
from typing import Iterator

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook

from ...errors import UserError
from ...registry import HOOKS
from ...wrappers import bare_model


class NonFiniteLossError(UserError):
    """A loss is NaN or infinite."""


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop before a NaN or infinite loss reaches the weights.

    The check stands between forward and backward: no gradient is computed,
    no weight changed, and the last checkpoint is good. Infinite *gradients*
    under mixed precision are not its matter; a ``GradScaler`` expects them.

    It costs one scalar copied from the device per iteration and, with
    several ranks, one all-reduce of that scalar.
    """

    def before_train(self, runner) -> None:
        """Watch the model's losses from now on."""

        def check(module, args, kwargs, losses):
            if kwargs.get('mode') == 'loss' and module.training:
                stop_unless_finite(losses, (args, kwargs), runner.iter)

        self._handle = bare_model(runner.model).register_forward_hook(
            check, with_kwargs=True)

    def after_train(self, runner) -> None:
        """Watch no longer."""
        self._handle.remove()


def stop_unless_finite(losses: dict, data, iteration: int) -> None:
    """Raise if a loss is not finite, in this rank or another.

    Args:
        losses (dict): What ``model(..., mode='loss')`` returns: tensors and
            lists of tensors; those named ``*loss*`` count.
        data: The batch, nested in any way; objects in it with ``metainfo``
            say which images it is made of.
        iteration (int): Iterations before this one.

    Raises:
        NonFiniteLossError: In all ranks, if one has a loss that is not
            finite; that one names the images.
    """
    terms = {
        name:
        value if isinstance(value, torch.Tensor) else torch.stack(
            [v.mean() for v in value])
        for name, value in losses.items() if 'loss' in name
    }
    if not terms:
        return
    finite = torch.stack([v.detach().isfinite().all() for v in terms.values()])
    stop = (~finite.all()).float()
    if get_world_size() > 1:
        all_reduce(stop, 'max')
    if not stop.item():
        return
    if finite.all():
        raise NonFiniteLossError(
            f'iteration {iteration + 1}: the loss of another process is not '
            'finite; its message names the images')
    values = ', '.join(f'{name}={v.detach().float().mean().item():.4g}'
                       for name, v in terms.items())
    images = '\n  '.join(image_paths(data)) or '(the batch does not say)'
    raise NonFiniteLossError(
        f'iteration {iteration + 1}: the loss is not finite: {values}. The '
        'weights and the last checkpoint are of before this batch. Look at '
        'its images and annotations; if they are sound, lower the learning '
        'rate, clip gradients (optim_wrapper.clip_grad), or train without '
        f'half precision. The images:\n  {images}')


def image_paths(data) -> Iterator[str]:
    """Paths of the images of a nested batch, as ``metainfo`` has them."""
    if isinstance(data, dict):
        data = data.values()
    if hasattr(data, 'metainfo'):
        path = data.metainfo.get('img_path')
        if path is not None:
            yield str(path)
    elif not isinstance(data, (str, torch.Tensor)):
        try:
            parts = iter(data)
        except TypeError:
            return
        for part in parts:
            yield from image_paths(part)
