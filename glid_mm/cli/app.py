"""Try a model in a web page on this machine.

Drop pictures, choose a threshold, and download what is predicted. It needs
gradio (`pip install glid_mm[app]`):

  glid app RUN
"""
import argparse

from ..prediction import load
from .options import add_use_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    add_use_options(parser)
    parser.add_argument('--port', type=int, default=7860)
    parser.add_argument(
        '--device', help='such as cuda:1; by default a GPU if there is one')


def run(args: argparse.Namespace) -> None:
    """Do it."""
    from ..app import run
    run(load(args.weights, args.device, args.task), args.port)
