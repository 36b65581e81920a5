"""Defaults for the device of a run, where the config sets nothing."""
import copy
import logging

import torch
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.model import BaseDataPreprocessor
from mmengine.optim import OptimWrapper
from mmengine.utils import digit_version
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from .bf16 import BF16OptimWrapper

HOSTS = ('mmengine', 'mmdet', 'mmpose', 'mmpretrain', 'mmseg')
# Settings of an optimizer that change the speed of a step, not its result.
KERNELS = ('fused', 'foreach', 'capturable')


def with_optim_defaults(config: dict) -> dict:
    """Complete the config of an optimizer wrapper.

    Args:
        config: ``type`` and ``optimizer``.

    Returns:
        The completed config: bfloat16 on a GPU that supports it, unless there
        is a ``type``; fused kernels for Adam and AdamW, unless the config
        chooses kernels.
    """
    config = copy.copy(config)
    if 'type' not in config and _computes_in_bf16():
        config['type'] = 'glid_mm.BF16OptimWrapper'
        print_log(
            'training in bfloat16, with TF32 for fp32 matrix products; '
            'optim_wrapper.type=OptimWrapper, or --no-amp, trains in fp32',
            'current')
    optimizer = config.get('optimizer')
    if (isinstance(optimizer, dict)
            and optimizer.get('type') in ('Adam', 'AdamW')
            and not {*KERNELS, 'differentiable'} & {*optimizer}
            and _has_fused_kernels()):
        config['optimizer'] = dict(optimizer, fused=True)
    return config


def with_loader_defaults(config: dict) -> dict:
    """Complete the config of a data loader.

    Args:
        config: Config of a data loader.

    Returns:
        The completed config: workers, if any, live as long as the run, and a
        GPU fetches batches while it computes.
    """
    config = copy.copy(config)
    config.setdefault('pin_memory', get_device() == 'cuda')
    config.setdefault('persistent_workers', True)
    if not config.get('num_workers'):
        # PyTorch refuses persistent workers if there are none.
        config['persistent_workers'] = False
    return config


def prepare_inputs(model: nn.Module, wait: bool) -> None:
    """Copy a model's batches to the device without stopping it.

    Args:
        model: A model of any host.
        wait: Whether copies wait for the device.
    """
    for module in model.modules():
        if not isinstance(module, BaseDataPreprocessor):
            continue
        # mmseg's preprocessor has no argument for it.
        module._non_blocking = not wait
        host = type(module).__module__.split('.')[0]
        if host in HOSTS and getattr(module, '_channel_conversion', False):
            # They swap channels with a list of indices; copying it to the
            # device waits for the device.
            module._channel_conversion = False
            module.register_forward_pre_hook(_reverse_channels)


def _reverse_channels(preprocessor: nn.Module, args: tuple) -> tuple:
    data, *others = args
    inputs = preprocessor.cast_data(data['inputs'])
    return ({**data, 'inputs': _reversed(inputs)}, *others)


def _reversed(inputs):
    if not isinstance(inputs, torch.Tensor):
        return [_reversed(part) for part in inputs]
    return inputs.flip(-3) if inputs.shape[-3] == 3 else inputs


def prepare(optim_wrapper: OptimWrapper) -> None:
    """Remove device synchronizations from an optimizer wrapper.

    Args:
        optim_wrapper: From now on it reports gradient norms without reading
            them. If it trains in bfloat16, the remaining fp32 computations may
            use TF32; a warning reports a device that is slow in bfloat16.
    """
    if isinstance(optim_wrapper, BF16OptimWrapper):
        if get_device() == 'cuda':
            torch.set_float32_matmul_precision('high')
        if _emulates_bf16():
            print_log(
                'training in bfloat16, which this device only emulates: '
                'fp32 is faster, often several times. Set '
                'optim_wrapper.type=OptimWrapper, or --no-amp.',
                'current',
                level=logging.WARNING)
    if getattr(optim_wrapper, 'clip_func', None) is clip_grad_norm_:
        hub, name = optim_wrapper.message_hub, optim_wrapper.grad_name

        def clip(params, **kwargs) -> None:
            norm = clip_grad_norm_(params, **kwargs)
            hub.update_scalar(f'train/{name}', norm)

        # The wrapper would read the returned value.
        optim_wrapper.clip_func = clip


def restore_kernels(optimizer: Optimizer) -> None:
    """Undo the kernel settings that an optimizer's checkpoint restores.

    Args:
        optimizer: The optimizer, after loading its state and with it the
            settings of the run that wrote it. This run decides which kernels
            compute the step, and so where the step count is stored.
    """
    for group in optimizer.param_groups:
        group.update({
            name: optimizer.defaults[name]
            for name in KERNELS if name in optimizer.defaults
        })
        on_device = group.get('fused') or group.get('capturable')
        for param in group['params']:
            step = optimizer.state.get(param, {}).get('step')
            if isinstance(step, torch.Tensor):
                optimizer.state[param]['step'] = step.to(
                    param.device if on_device else 'cpu', torch.float32)


def _computes_in_bf16() -> bool:
    # GPUs before Ampere only emulate it.
    return (get_device() == 'cuda'
            and torch.cuda.get_device_capability() >= (8, 0))


def _emulates_bf16() -> bool:
    if get_device() == 'cpu':
        # Of x86 processors; others report neither.
        return torch.backends.cpu.get_cpu_capability() == 'AVX2'
    return get_device() == 'cuda' and not _computes_in_bf16()


def _has_fused_kernels() -> bool:
    return get_device() == 'cuda' or (get_device() == 'cpu' and digit_version(
        torch.__version__) >= digit_version('2.4'))
