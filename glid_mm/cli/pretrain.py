"""Pre-train on a folder of pictures.

No labels are needed, and sub-folders are searched. Shards, which
`glid convert shards` makes, are read as well:

  glid pretrain PHOTOS --size tiny --epochs 100
"""
import argparse

from .options import add_training_options
from .training import train


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument(
        'data', metavar='PHOTOS', help='a folder of pictures, or of shards')
    add_training_options(parser)


def run(args: argparse.Namespace) -> None:
    """Do it."""
    train(args, 'pretrain')
