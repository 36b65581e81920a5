"""Train for a task on labelled data.

The format of the folder is recognized and described before the first step;
docs/own-data.md lists the formats:

  glid train detection DATA --check
  glid train detection DATA --weights runs/photos

where runs/photos is the folder of a pre-training, of `glid pretrain`.
"""
import argparse

from . import training
from .options import (TASKS, add_data_options, add_run_options,
                      add_training_options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        'task', choices=TASKS, metavar='TASK', help=', '.join(TASKS))
    parser.add_argument(
        'data',
        metavar='DATA',
        help="the folder, or the file that describes the data: COCO's JSON or "
        "YOLO's data.yaml")
    add_data_options(parser)
    add_training_options(parser)
    add_run_options(parser)


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    training.train(args, args.task)
