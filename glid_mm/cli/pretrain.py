"""Pre-train on a folder of pictures.

It needs no labels and searches subfolders. It also reads shards, which `glid
convert shards` creates:

  glid pretrain PHOTOS --size tiny --epochs 100
"""
import argparse

from .options import add_run_options, add_training_options
from .training import train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument(
        'data', metavar='PHOTOS', help='a folder of pictures, or of shards')
    add_training_options(parser)
    add_run_options(parser)


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    train(args, 'pretrain')
