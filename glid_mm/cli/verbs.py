"""Verbs of the command ``glid``."""
import argparse
import importlib
import signal
import sys

from .. import __version__
from .tools import PASSED_ON, pass_on

# Each is a module here, imported on demand because PyTorch takes long to
# import. In the order of first use.
_VERBS = dict(
    pretrain='pre-train on a folder of pictures',
    train='train for a task on labelled data',
    resume='continue an interrupted run',
    test='evaluate a run on its test data or on other data',
    predict='predict on pictures and draw the predictions',
    export='export a model as ONNX or with torch.export',
    app='try a model in a web page on this machine',
    init='write a complete config of your own')


def main() -> None:
    """Run ``glid``; errors that the user can fix print one message."""
    arguments = sys.argv[1:]
    try:
        if arguments[:1] and arguments[0] in _VERBS:
            from ..engine import launch
            launch.main(lambda: run(*arguments))
        else:
            # Help, or a verb that passes its arguments to a script.
            run(*arguments)
    except KeyboardInterrupt:
        # Interrupted while PyTorch is imported.
        print('interrupted', file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def run(*arguments: str) -> None:
    """Run a command line.

    Args:
        *arguments: Arguments without the command's name.

    Raises:
        UserError: If the verb reports one.
    """
    name = arguments[0] if arguments else '--help'
    if name in PASSED_ON:
        pass_on(*arguments)
    args = _parser(name).parse_args(arguments or [name])
    args.run(args)


def _parser(wanted: str) -> argparse.ArgumentParser:
    """A parser with the options of one verb."""
    parser = argparse.ArgumentParser(
        prog='glid',
        description='Pre-train one encoder-decoder on unlabelled pictures, '
        'fine-tune it for a task, and use it. `glid VERB --help` shows the '
        'options of a verb.')
    parser.add_argument(
        '--version', action='version', version=f'glid_mm {__version__}')
    verbs = parser.add_subparsers(metavar='VERB', required=True)
    for name, summary in {**_VERBS, **PASSED_ON}.items():
        if name != wanted:
            verbs.add_parser(name, help=summary)
            continue
        verb = importlib.import_module(f'.{name}', __package__)
        sub = verbs.add_parser(
            name,
            help=summary,
            description=verb.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        verb.add_arguments(sub)
        sub.set_defaults(run=verb.run)
    return parser
