"""Options that verbs share, with the same order and meaning."""
import argparse
from pathlib import Path

from ..engine import launch
from ..engine.overrides import Options
from ..engine.trackers import TRACKERS
from ..errors import UserError
from ..io.files import make_folder
from .configs import FOLDERS, SIZES

#: Tasks that need labels.
TASKS = tuple(task for task in FOLDERS if task != 'pretrain')


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that determine the config of a training run."""
    parser.add_argument(
        '--weights',
        metavar='W',
        help='initial weights: the folder of a run, such as that of `glid '
        'pretrain`; a checkpoint or weights file of glid_mm; '
        'weights:nano-scenes, which ships with it; or a Swin of Microsoft, '
        'timm, mmdet, mmseg, mmpretrain, SimMIM, MixMIM or EsViT. Default: '
        'random weights')
    parser.add_argument(
        '--size',
        choices=SIZES,
        help='model size; by default that of the weights, or else tiny '
        '(Swin-T) on a GPU and nano on a CPU')
    launch.add_length_options(parser)
    parser.add_argument(
        '--devices',
        type=launch.count,
        default=1,
        metavar='N',
        help='number of GPUs to train on, or of processes on a CPU (default: '
        '1)')
    parser.add_argument(
        '--auto',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='fit batch size, workers, learning rate and length to machine '
        'and data, and print each choice (default: yes)')
    parser.add_argument(
        '--seed', type=int, help='random seed of the run (default: 0)')
    parser.add_argument(
        '--log',
        nargs='+',
        default=[],
        choices=TRACKERS,
        help='also record the run with Weights & Biases or MLflow, besides '
        'the run folder and TensorBoard')
    add_settings(parser)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the run's folder and for checking only."""
    parser.add_argument(
        '--out',
        help='folder of the run; by default one that is named like task and '
        'data, such as work_dirs/detection_balls')
    parser.add_argument(
        '--check',
        action='store_true',
        help='only check and describe data and settings; write nothing')


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the option that reaches every setting of the config."""
    parser.add_argument(
        '--set',
        dest='cfg_options',
        nargs='+',
        action=Options,
        default={},
        metavar='KEY=VALUE',
        help='override settings of the config, for example '
        'optim_wrapper.optimizer.lr=1e-4')


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that describe labelled data."""
    parser.add_argument(
        '--val',
        metavar='WHAT',
        type=_share_or_path,
        help='validation data, if the data has no validation part: a share '
        'such as 0.2, a number of pictures, a text file with their names, or '
        'another folder of the same kind (default: 0.1)')
    parser.add_argument(
        '--classes',
        nargs='+',
        help='use only these classes, in this order; by default all. If no '
        'file names the classes of label maps: names of 0, 1, 2, …')
    parser.add_argument(
        '--depth-scale',
        type=float,
        help='units per metre in depth maps; by default guessed from the maps')


def add_use_options(parser: argparse.ArgumentParser,
                    device: str | None = None) -> None:
    """Add the options of all verbs that use a model.

    Args:
        parser: Parser of a verb.
        device: Default device; None means a GPU if there is one.
    """
    parser.add_argument(
        'weights',
        metavar='RUN',
        help='run folder (its best checkpoint is used), checkpoint, '
        'weights file, or weights:NAME')
    parser.add_argument(
        '--task',
        help='which task, if the weights hold several; its name or '
        f'its kind ({", ".join(TASKS)})')
    add_device(parser, device)


def add_device(parser: argparse.ArgumentParser,
               default: str | None = None) -> None:
    """Add the option that selects the device of a model."""
    parser.add_argument(
        '--device',
        default=default,
        help='cpu, or a GPU such as cuda or cuda:1; by default '
        f'{default or "a GPU if there is one"}')


def make_out(path: Path) -> None:
    """Create the output folder before the work begins.

    Args:
        path: The folder.

    Raises:
        UserError: If it cannot be created or written to.
    """
    try:
        make_folder(path)
    except OSError as error:
        raise UserError(f'cannot write to the folder {path}. Choose another '
                        'one with --out.') from error


def _share_or_path(text: str) -> float | int | str:
    try:
        share = float(text)
    except ValueError:
        return text
    return share if share < 1 else int(share)
