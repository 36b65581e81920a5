"""Evaluate a run on its test data, or on other data of the same kind.

  glid test RUN
  glid test RUN --data DATA
"""
import argparse
import os
from pathlib import Path

import torch

from ..engine.overrides import apply_overrides
from ..errors import UserError
from ..prediction import choose_device, find_run, tasks_of
from .options import add_data_options, add_device, add_settings
from .tools import start, tool
from .training import CONFIG, DATA, look_at, write_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        'weights',
        metavar='RUN',
        help='run folder (its best checkpoint is used), or checkpoint')
    parser.add_argument(
        '--data',
        help='other data to test on: its test part, its validation part, or '
        'else all of it')
    add_data_options(parser)
    parser.add_argument(
        '--out', help='folder for results; by default RUN/test')
    parser.add_argument(
        '--pictures',
        action='store_true',
        help='draw predictions into pictures in this folder')
    add_device(parser)
    add_settings(parser)


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    if args.device is not None:
        _show_only(choose_device(args.device))
    config, weights = find_run(args.weights)
    out = Path(args.out or weights.parent / 'test').expanduser().absolute()
    if args.data is not None:
        _use(args, config, out)
    elif config.get('test_dataloader') is None:
        raise UserError(f'{weights} comes from pre-training, which has no '
                        'test. `glid predict` shows what it reconstructs.')
    apply_overrides(config, args.cfg_options)
    write_config(config, out / CONFIG)
    pictures = ['--show-dir', str(out / 'pictures')] if args.pictures else []
    start(
        tool('test.py', str(out / CONFIG), str(weights), '--work-dir',
             str(out), *pictures))


def _show_only(device: torch.device) -> None:
    """Hide other GPUs, because the script uses the first visible one."""
    name = 'CUDA_VISIBLE_DEVICES'
    if device.type == 'cpu':
        os.environ[name] = ''
    elif device.type == 'cuda':
        index = device.index or 0
        # The index counts only GPUs that are visible already.
        seen = os.environ.get(name)
        os.environ[name] = seen.split(',')[index] if seen else str(index)


def _use(args, config, out: Path) -> None:
    """Make a config test other data."""
    tasks = tasks_of(config)
    if len(tasks) > 1 or 'pretrain' in tasks.values():
        raise UserError(f'--data: {args.weights} is for {", ".join(tasks)}; '
                        '--data needs a model of one task with labels')
    task, = tasks.values()
    meta = config.test_dataloader.dataset.get('metainfo') or {}
    own = [] if task in ('depth', 'pose') else [*(meta.get('classes') or ())]
    if args.classes is None:
        args.classes = own or None
    try:
        data = look_at(args, task)
    except UserError as error:
        if args.classes != own:
            raise
        raise UserError(f'{args.data} does not fit the run, whose classes are '
                        f'{", ".join(own)}: {error}') from error
    if not {'val', 'test'} & set(data.parts):
        data.parts['val'] = data.parts['train']
    config.merge_from_dict({
        name: value
        for name, value in data.prepare(out / DATA).items()
        if name.startswith('test_')
    })
