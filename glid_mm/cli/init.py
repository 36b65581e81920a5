"""Write a complete config to edit and to train with tools/.

Files that describe the data go into a folder beside it, named like the config:

  glid init detection --data DATA --size nano --out my_detector.py
"""
import argparse
import shlex
from pathlib import Path

from ..errors import UserError
from .configs import FOLDERS
from .options import add_data_options, add_training_options
from .tools import tool
from .training import compose, look_at, removed_on_error, write_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        'task', choices=FOLDERS, metavar='TASK', help=', '.join(FOLDERS))
    parser.add_argument(
        '--data',
        required=True,
        help="the folder, or the file that describes the data: COCO's JSON or "
        "YOLO's data.yaml")
    add_data_options(parser)
    add_training_options(parser)
    parser.add_argument('--out', help='file to write; by default TASK.py')


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    out = Path(args.out or f'{args.task}.py').expanduser().absolute()
    if out.suffix != '.py':
        raise UserError(f'--out {args.out}: name a file that ends in .py')
    if out.exists():
        raise UserError(f'{out} already exists; --out names another file')
    data = look_at(args, args.task)
    with removed_on_error(out.with_suffix('')):
        write_config(compose(args, data, out.with_suffix('')), out)
    line = tool('train.py', str(out))
    print(f'Train with: {shlex.join(["python", *line[1:]])}')
