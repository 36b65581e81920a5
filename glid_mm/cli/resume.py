"""Continue an interrupted run, to the same final weights."""
import argparse
from pathlib import Path

from ..engine import launch
from ..errors import UserError
from .tools import start
from .training import CONFIG, command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument('run_dir', metavar='RUN', help='folder of the run')
    parser.add_argument(
        '--devices',
        type=launch.count,
        default=1,
        metavar='N',
        help='GPUs, or processes on a CPU, as in the run so far (default: 1)')


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    folder = Path(args.run_dir).expanduser().absolute()
    if not (folder / CONFIG).is_file():
        raise UserError(
            f'{folder} has no {CONFIG}, so it is not the folder of a run of '
            '`glid pretrain` or `glid train`. To continue a run of '
            'tools/train.py, add --resume to its command.')
    start(command(folder, args.devices, '--resume'))
