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
from ..io.shipped import SCHEME
from ..own_data.keypoints import require_same
from ..prediction import choose_device, read_run, tasks_of
from ..prediction.runs import Run
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
        '--out',
        help='folder for results; by default RUN/test, and for weights:NAME '
        'work_dirs/test_NAME')
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
    found = read_run(args.weights)
    config, weights = found.config, found.path
    default = weights.parent / 'test'
    if args.weights.startswith(SCHEME):
        default = Path('work_dirs', f'test_{args.weights[len(SCHEME):]}')
    out = Path(args.out or default).expanduser().absolute()
    if args.data is not None:
        _use(args, found, out)
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


def _use(args, found: Run, out: Path) -> None:
    """Make a run's config test other data."""
    config = found.config
    tasks = tasks_of(config)
    if len(tasks) > 1 or 'pretrain' in tasks.values():
        raise UserError(f'--data: {args.weights} is for {", ".join(tasks)}; '
                        '--data needs a model of one task with labels')
    task, = tasks.values()
    # Checkpoints name what the model was trained on.
    meta = (found.checkpoint.get('meta') or {}).get('dataset_meta')
    meta = meta or config.test_dataloader.dataset.get('metainfo') or {}
    own = [] if task in ('depth', 'pose') else [*(meta.get('classes') or ())]
    if args.classes is None:
        args.classes = own or None
    try:
        data = look_at(args, task, testing=True)
    except UserError as error:
        if args.classes != own:
            raise
        raise UserError(f'{args.data} does not fit the run, whose classes are '
                        f'{", ".join(own)}: {error}') from error
    if own and [*data.classes] != own:
        raise UserError(
            f'the classes for the test are {", ".join(data.classes)}, but '
            f'those of the run are {", ".join(own)}. Omit --classes; for '
            'label maps, name their classes in classes.txt.')
    points = meta.get('keypoint_id2name')
    if points:
        require_same(args.data, data.keypoints, args.weights,
                     [*points.values()])
    config.merge_from_dict({
        name: value
        for name, value in data.prepare(out / DATA).items()
        if name.startswith('test_')
    })
