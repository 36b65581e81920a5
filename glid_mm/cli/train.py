"""Train for a task on labelled data.

The folder's format is recognised and described before the first step; see
docs/own-data.md for what is known:

  glid train detection DATA --weights weights:nano-scenes
  glid train detection DATA --check
"""
import argparse

from . import training
from .options import TASKS, add_data_options, add_training_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument(
        'task', choices=TASKS, metavar='TASK', help=', '.join(TASKS))
    parser.add_argument(
        'data',
        metavar='DATA',
        help='the folder, or the file that describes '
        'the data')
    add_data_options(parser)
    add_training_options(parser)


def run(args: argparse.Namespace) -> None:
    """Do it."""
    training.train(args, args.task)
