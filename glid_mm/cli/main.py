"""Verbs of the command ``glid``."""
import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from ..engine import launch
from . import app, export, init, predict, pretrain, resume, test, train
from .tools import PASSED_ON, pass_on

# In the order in which a newcomer meets them.
_VERBS = dict(
    pretrain=pretrain,
    train=train,
    resume=resume,
    test=test,
    predict=predict,
    export=export,
    app=app,
    init=init)


def main() -> None:
    """Run ``glid``; errors that the user can mend are one message."""
    launch.main(lambda: run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> None:
    """Do what a command line says.

    Args:
        arguments (sequence[str]): Without the command's own name.

    Raises:
        UserError: Depending on the verb.
    """
    if arguments and arguments[0] in PASSED_ON:
        pass_on(*arguments)
    args = _parser().parse_args(arguments)
    args.run(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='glid',
        description='Pre-train one encoder-decoder on unlabelled pictures, '
        'fine-tune it for a task, and use it. `glid VERB --help` has the '
        'options of a verb.')
    parser.add_argument(
        '--version', action='version', version=f'glid_mm {__version__}')
    verbs = parser.add_subparsers(metavar='VERB', required=True)
    for name, verb in _VERBS.items():
        summary = verb.__doc__.splitlines()[0]
        sub = verbs.add_parser(
            name,
            help=summary.rstrip('.')[0].lower() + summary.rstrip('.')[1:],
            description=verb.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        verb.add_arguments(sub)
        sub.set_defaults(run=verb.run)
    for name, summary in PASSED_ON.items():
        verbs.add_parser(name, help=summary, add_help=False)
    return parser
