"""Options and error handling for the scripts of ``tools/``."""
import argparse
import errno
import gc
import os
import os.path as osp
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import distributed as dist
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from ..errors import EXIT_CODE, MissingLibraryError, UserError
from ..io.files import FULL, no_space
from ..models.layers.tokens import UNIT
from .interruption import Interrupted
from .length import LENGTHS, rescale
from .memory import keep_freed_memory
from .overrides import Options, apply_overrides
from .trackers import TRACKERS

# Errors of the system about a file or folder that the user chose.
_REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR,
             errno.EEXIST)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add the option that overrides settings of the config."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Options,
        default={},
        metavar='KEY=VALUE',
        help='override settings of the config, for example '
        'train_dataloader.batch_size=8; write lists as key="[a,b]" or '
        'key=a,b, and groups as key="dict(name=value)"')


def add_length_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that change the length of a training run."""
    group = parser.add_mutually_exclusive_group()
    for unit in LENGTHS:
        group.add_argument(
            f'--{unit}',
            type=count,
            metavar='N',
            help=f'train for N {unit}; warm-up, decay and milestones scale '
            'with the length')


def add_size_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that changes the image size in pre-training."""
    parser.add_argument(
        '--size',
        type=_side,
        help='side of the square crop in pre-training, a multiple of '
        f'{UNIT}; by default that of the config\'s RandomResizedCrop')


def count(text: str) -> int:
    """Read a positive whole number; argparse reports errors."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _side(text: str) -> int:
    side = count(text)
    if side % UNIT:
        raise ValueError
    return side


# Names in argparse's error messages.
count.__name__ = 'whole number above 0'
_side.__name__ = f'multiple of {UNIT}'


def set_length(config: Config, args: argparse.Namespace) -> None:
    """Set the length of a training run from the command line.

    Args:
        config: The config; changed in place.
        args: Options of :func:`add_length_options` and
            :func:`add_config_options`.

    Raises:
        UserError: If both set the length; see also :func:`rescale`.
    """
    for unit, name in LENGTHS.items():
        length = getattr(args, unit)
        if length is None:
            continue
        if f'train_cfg.{name}' in args.cfg_options:
            raise UserError(f'--{unit} and train_cfg.{name} exclude each '
                            f'other. --{unit} also rescales the schedule.')
        rescale(config, unit, length)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share."""
    parser.add_argument('config', help='path of the config')
    parser.add_argument(
        '--work-dir',
        help='folder for logs and checkpoints; by default '
        'work_dirs/<config name>')
    add_config_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='launcher of a run with several processes')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def read_config(path: str, overrides: Mapping[str, Any]) -> Config:
    """Read a config and override settings of it.

    Args:
        path: Path of the file.
        overrides: Settings from ``--cfg-options``.

    Returns:
        The config.

    Raises:
        UserError: If the config does not exist or cannot be read, or if an
            override is unused.
        MissingLibraryError: If a library of the config's task is missing.
    """
    if not osp.isfile(path):
        raise UserError(f'there is no config {path}')
    try:
        config = Config.fromfile(path)
    except ImportError as error:
        # mmengine wraps the reason in two errors of its own.
        while isinstance(error.__context__, ImportError):
            error = error.__context__
        if not isinstance(error, MissingLibraryError):
            raise UserError(f'custom_imports of {path} fail: '
                            f'{error}') from error
        raise error
    except UserError:
        raise
    # A config is a program and may raise any error.
    except Exception as error:
        raise UserError(f'the config {path} cannot be read: '
                        f'{type(error).__name__}: {error}') from error
    apply_overrides(config, overrides)
    return config


def read_run(args: argparse.Namespace) -> Config:
    """Read the config of a run and apply the common options to it.

    Args:
        args: Options of :func:`add_common_arguments`.

    Returns:
        The config with ``launcher`` and ``work_dir`` set.

    Raises:
        UserError: See :func:`read_config`.
        MissingLibraryError: See :func:`read_config`.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    config = read_config(args.config, args.cfg_options)
    config.launcher = args.launcher
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get('work_dir') is None:
        name = osp.splitext(osp.basename(args.config))[0]
        config.work_dir = osp.join('work_dirs', name)
    return config


def build_runner(config: Config) -> Runner:
    """Build the runner that a config names.

    Args:
        config: Config of any task.

    Returns:
        A runner of type ``runner_type``, by default mmengine's.
    """
    return RUNNERS.build(config)


def without_trackers(config: Config) -> None:
    """Remove the trackers, so that a test is not recorded.

    Args:
        config: Its ``visualizer.vis_backends`` are changed in place.
    """
    visualizer = config.get('visualizer') or {}
    if visualizer.get('vis_backends'):
        visualizer.vis_backends = [
            backend for backend in visualizer.vis_backends
            if backend['type'] not in TRACKERS.values()
        ]


def show_predictions(config: Config, folder: str) -> None:
    """Make a host's visualization hook draw predictions into a folder.

    Args:
        config: Its ``default_hooks.visualization`` is changed.
        folder: Folder for the pictures.

    Raises:
        UserError: If the config has no visualization hook.
    """
    hook = config.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise UserError('--show-dir: this config cannot draw predictions, '
                        'because it has no default_hooks.visualization')
    # mmdet and mmseg call it draw and use the visualizer's folder; mmpretrain
    # and mmpose call it enable and use the hook's folder.
    if hook.type.split('.')[-1] in ('DetVisualizationHook',
                                    'SegVisualizationHook'):
        hook.draw = True
        hook.interval = 1  # upstream's mmseg leaves images out in tests too
        config.setdefault('visualizer', ConfigDict()).save_dir = folder
    else:
        hook.enable = True
        # mmpose would put a relative path into its own results folder.
        hook.out_dir = osp.abspath(folder)


def main(tool: Callable[[], None]) -> None:
    """Run a tool; print errors that the user can fix without a traceback.

    With several processes, ``tools/dist_run.py`` prints the message instead,
    once and after all other output.

    Args:
        tool: The tool.
    """
    interrupted = None
    keep_freed_memory()
    try:
        tool()
    except Interrupted as error:
        # The traceback's frames keep the run and its process group alive.
        interrupted = error.with_traceback(None)
        interrupted.__context__ = None
    except KeyboardInterrupt:
        _exit_interrupted()
    except Exception as error:
        if _hides_ctrl_c(error):
            _exit_interrupted()
        if isinstance(error, OSError) and error.errno in FULL:
            # Raised by a library, not by glid_mm.io.files.
            error = no_space(error.filename or 'the results')
        started = 'TORCHELASTIC_ERROR_FILE' in os.environ
        if started:
            get_error_handler().record_exception(error)
        message = _mendable(error)
        if message is None:
            raise
        if started:
            _exit_at_once()
        sys.exit(message)
    _leave_group()
    if interrupted is not None:
        raise interrupted


def _exit_interrupted() -> None:
    """Exit before training, or from a tool with nothing to save."""
    print('interrupted', file=sys.stderr)
    sys.exit(128 + signal.SIGINT)


def _exit_at_once() -> None:
    """Exit with the code of errors that the user can fix.

    It skips Python's shutdown, in which threads of the process group can abort
    the process, and torchrun can end it because another process failed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_CODE)


def _hides_ctrl_c(error: BaseException | None) -> bool:
    """Whether Ctrl-C caused another error, as in mmengine's formatter."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _leave_group() -> None:
    """Stop the threads of the process group while Python still runs.

    A thread that returns to Python during its shutdown aborts the process.
    The threads end with the last object that holds the group: the model, in a
    run full of reference cycles. After an error, other ranks may wait for this
    one, so it exits at once.
    """
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
        gc.collect()


def _mendable(error: Exception) -> str | None:
    """The message for an error that the user can fix, else None."""
    if isinstance(error, UserError):
        return f'{type(error).__name__}: {error}'
    if isinstance(error, MissingLibraryError):
        return str(error)
    if isinstance(error, FileNotFoundError) and error.filename:
        return (f'there is no file {error.filename}. Check the setting that '
                'names it, such as data_root or ann_file.')
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        return (f'{error.filename}: {os.strerror(error.errno)}. Choose '
                'another file or folder, or change its permissions.')
    return None
