"""Try a model in a web page on this machine.

Drop pictures, choose a threshold, and download predictions. It needs
gradio (`pip install glid_mm[app]`):

  glid app RUN
"""
import argparse

from .. import app
from ..prediction import Predictor, read_run, tasks_of
from .options import add_use_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_use_options(parser)
    parser.add_argument(
        '--port', type=int, help='port of the page; by default a free one')


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    found = read_run(args.weights)
    # The page can switch between the tasks of a mixture.
    task = args.task or next(iter(tasks_of(found.config)))
    app.run(Predictor(found, args.device, task), args.port)
