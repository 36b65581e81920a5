"""Choose batch size, workers, length and rate for machine and data."""
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import torch
from mmengine.config import Config

from ..doctor.environment import available_cores, available_memory
from ..engine.length import LENGTHS, rescale

# GiB per training image with Swin-B: in bfloat16 on an H100, and in fp32 on a
# CPU, from figures of Swin-S. See docs/performance.md.
_MEMORY = dict(
    pretrain=(0.045, 0.055),
    semantic=(2., 2.7),
    instance=(2., 2.7),
    panoptic=(2., 2.7),
    detection=(1.3, 10.),
    depth=(1.05, 1.3),
    pose=(0.19, 0.2))
# Approximate memory relative to Swin-B. The pictures of nano are smaller.
_SIZES = dict(nano=0.015, tiny=0.6, small=0.9, base=1., large=1.6)
# Share of the memory for images; weights, optimizer state and peaks need the
# rest.
_SHARE = 0.6
_MOST_WORKERS = 8
# Epochs for small data sets, and the minimum number of steps.
_EPOCHS, _STEPS = 100, 1000
# Minimum epochs and steps of pre-training. For nano, the shortest runs that
# gained in docs/getting-started.md. For Swins, a rule of thumb: few pictures
# need as many steps as more pictures, and many pictures need fewer epochs.
_PRETRAIN = dict(nano=(10, 3750))
_PRETRAIN_SWIN = 100, 20000
# What the data sets count, if not pictures.
_COUNTED = dict(pose='objects')
# Evaluations of a run, and the minimum number of steps between two.
_VALIDATIONS, _APART = 10, 50


def adapt(config: Config, task: str, size: str, images: int, devices: int,
          given: Collection[str]) -> Iterator[str]:
    """Fit a config to machine and data.

    Settings that the user has chosen stay.

    Args:
        config: Config for the user's own data; changed in place.
        task: The task, such as ``'detection'``.
        size: The model size, such as ``'tiny'``.
        images: Pictures for training; for poses, objects.
        devices: Number of processes, each with its own GPU if there are any.
        given: Names of those settings, and ``'epochs'`` or ``'iters'`` if an
            option sets the length.

    Yields:
        Each choice and its reason, one line each.
    """
    loader = config.train_dataloader
    counted = _COUNTED.get(task, 'pictures')
    planned = loader.batch_size
    if 'train_dataloader.batch_size' in given:
        batch, why = planned, '--set'
    else:
        batch, why = _batch(config, task, size, images, devices)
    loader.batch_size = batch
    yield (f'batch of {batch} {counted}{" on each GPU" * (devices > 1)}: '
           f'{why}')

    chosen = 'train_dataloader.num_workers' in given
    workers = loader.num_workers if chosen else _workers(devices)
    for name in 'train', 'val', 'test':
        part = config.get(f'{name}_dataloader')
        if part:
            part.num_workers = workers
            part.persistent_workers = workers > 0
    cores = available_cores()
    why = '--set' if chosen else f'{cores} core{"s" * (cores > 1)}'
    yield (f'{workers or "no"} worker process{"es" * (workers > 1)} '
           f'for reading pictures: {why}')

    rate = config.optim_wrapper.optimizer.lr
    base = (config.get('auto_scale_lr') or {}).get('base_batch_size')
    if 'optim_wrapper.optimizer.lr' in given:
        yield f'learning rate {rate:.2g}: --set'
    elif base:
        config.auto_scale_lr.enable = True
        yield (f'learning rate {rate * batch * devices / base:.2g}: '
               f'{rate:.2g} is for a batch of {base}')
    elif batch * devices < planned:
        yield f'learning rate {rate:.2g}, for a batch of {planned}'
    yield ('bfloat16 on GPUs that support it'
           if torch.cuda.is_available() else 'fp32, since there is no GPU')

    loop = config.train_cfg
    unit = 'iters' if loop.get(LENGTHS['iters']) else 'epochs'
    yield _fit_length(config, task, size, images, batch * devices, unit, given)
    if 'val_interval' in loop and 'train_cfg.val_interval' not in given:
        total = loop[LENGTHS[unit]]
        interval = -(-total // _VALIDATIONS)
        if unit == 'iters':
            interval = min(total, max(interval, _APART))
        loop.val_interval = interval
        config.default_hooks.checkpoint.interval = interval
        yield (f'an evaluation and a checkpoint every {interval} '
               f'{"steps" if unit == "iters" else unit}')


def _fit_length(config, task, size, images, batch, unit, given) -> str:
    """Fit the length; describe it.

    Args:
        config, task, size, images, given: See :func:`adapt`.
        batch: Pictures in a step, of all processes.
        unit: Unit of the length, a key of :data:`LENGTHS`.

    Returns:
        One line.
    """
    loop = config.train_cfg
    # Batches of an epoch, as the loader counts them.
    drops = config.train_dataloader.get('drop_last', False)
    per_epoch = max(1, images // batch if drops else -(-images // batch))
    chosen = {unit, f'train_cfg.{LENGTHS[unit]}'} & {*given}
    why = f'; --{unit} sets the length'
    if chosen:
        why = f': {"--set" if "." in chosen.pop() else f"--{unit}"}'
    elif task == 'pretrain':
        epochs, steps = _PRETRAIN.get(size, _PRETRAIN_SWIN)
        why = f': at least {epochs} epochs and {steps} steps{why}'
        epochs = max(epochs, -(-steps // per_epoch))
        rescale(config, 'epochs', epochs)
        config.default_hooks.checkpoint.interval = -(-epochs // _VALIDATIONS)
    elif unit == 'iters':
        steps = max(_STEPS, _EPOCHS * images // batch)
        if steps < loop[LENGTHS['iters']]:
            rescale(config, 'iters', steps)
    total = loop[LENGTHS[unit]]
    counted = _COUNTED.get(task, 'pictures')
    if unit == 'epochs':
        return (f'{total} epochs of {images} {counted}, {total * per_epoch} '
                f'steps{why}')
    passes = total * batch / images
    digits = 0 if passes >= 10 else 1
    return (f'{total} steps, {passes:.{digits}f} passes over {images} '
            f'{counted}{why}')


def _batch(config, task, size, images, devices) -> tuple[int, str]:
    """The batch size of one process, and the reason for it."""
    planned = config.train_dataloader.batch_size
    gpus = int(re.search(r'_(\d+)xb', Path(config.filename).name)[1])
    wanted = -(-planned * gpus // devices)
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        memory = min(
            torch.cuda.get_device_properties(i).total_memory
            for i in range(torch.cuda.device_count())) / 2**30
        why = ('as in the config, for the same number of GPUs'
               if gpus == devices else f'{planned} on {gpus} GPUs in the '
               'config')
    else:
        memory = available_memory() / devices
        wanted, why = planned, 'as in the config, on a CPU'
    per_image = _MEMORY[task][0 if on_gpu else 1] * _SIZES[size]
    fits = _SHARE * memory / per_image
    if fits < wanted:
        wanted = 2**max(0, int(fits).bit_length() - 1)
        why = f'about the most that fits into {memory:.0f} GiB'
    share = images // devices
    if share < wanted:
        counted = _COUNTED.get(task, 'pictures')
        return max(1, share), f'there are {images} {counted}'
    return wanted, why


def _workers(devices: int) -> int:
    cores = available_cores()
    if torch.cuda.is_available():
        return max(1, min(_MOST_WORKERS, cores // devices - 1))
    # The training itself needs the cores.
    return min(2, cores - 1)
