"""Turn data and options into a complete config and train it."""
import argparse
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.config import Config

from ..engine import launch
from ..engine.accepted import accepted_names
from ..engine.hooks.checkpoint_hook import CONFIG
from ..engine.length import LENGTHS
from ..engine.overrides import apply_overrides
from ..engine.trackers import TRACKERS
from ..errors import UserError, require
from ..io.files import write_atomically
from ..own_data import OwnData, recognise
from .auto import adapt
from .configs import Start, config_for
from .tools import start, tool

#: Folder of the data's description in the folder of a run.
DATA = 'data'


def train(args: argparse.Namespace, task: str) -> None:
    """Check data, write a config and train; does not return.

    Args:
        args: The training's options.
        task: The task.

    Raises:
        UserError: If data, weights or options do not fit, or the folder
            already has a run.
    """
    out = _folder(args, task)
    gpus = torch.cuda.device_count()
    if gpus and args.devices > gpus:
        raise UserError(f'--devices {args.devices}: PyTorch sees {gpus} GPUs')
    data = look_at(args, task)
    if args.check:
        with tempfile.TemporaryDirectory() as folder:
            compose(args, data, Path(folder))
        print('--check: nothing was written')
        return
    with removed_on_error(out / DATA):
        config = compose(args, data, out / DATA)
        config.work_dir = str(out)
        write_config(config, out / CONFIG)
    start(command(out, args.devices))


@contextmanager
def removed_on_error(folder: Path) -> Iterator[None]:
    """Remove a folder that a failed command has created."""
    existed = folder.exists()
    try:
        yield
    except BaseException:
        if not existed:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def look_at(args: argparse.Namespace,
            task: str,
            testing: bool = False) -> OwnData:
    """Recognize data and print its description.

    Args:
        args: ``data`` and the data options.
        task: The task.
        testing: Whether the data is only for a test.

    Returns:
        The data.

    Raises:
        UserError: See :func:`recognise`.
    """
    more = {
        name: getattr(args, name)
        for name in ('val', 'classes', 'depth_scale')
        if getattr(args, name, None) is not None
    }
    data = recognise(args.data, task, testing=testing, **more)
    print(data.describe(), flush=True)
    return data


def compose(args: argparse.Namespace, data: OwnData, folder: Path) -> Config:
    """The config of a training run on the user's data.

    Args:
        args: The training's options.
        data: The data.
        folder: Folder for files that describe the data.

    Returns:
        The complete config.

    Raises:
        UserError: If options or weights do not fit.
        MissingLibraryError: If a service of ``--log`` is not installed.
    """
    for name in args.log:
        require(name, task=f'--log {name}')
    origin = Start(args.weights) if args.weights else None
    size = args.size or (origin.size if origin else
                         'tiny' if torch.cuda.is_available() else 'nano')
    if origin is not None and origin.size != size:
        raise UserError(
            f'--weights {args.weights} has size '
            f'{origin.size or "unknown (no config has it)"}, but the model '
            f'has size {size}. Omit --size to use that of the weights.')
    print(f'model of size {size}')
    config = launch.read_config(str(config_for(data.task, size)), {})
    config.merge_from_dict(data.prepare(folder))
    if origin is not None:
        origin.put_into(config)
    launch.set_length(config, args)
    apply_overrides(config, args.cfg_options)
    if args.auto:
        given = {*args.cfg_options}
        given |= {unit for unit in LENGTHS if getattr(args, unit)}
        for line in adapt(config, data.task, size, data.trains_on,
                          args.devices, given):
            print(line)
        # Choices must not change the user's.
        apply_overrides(config, args.cfg_options)
    if args.seed is not None:
        config.randomness.seed = args.seed
    for name in args.log:
        config.visualizer.vis_backends.append(dict(type=TRACKERS[name]))
    _drop_variables(config)
    return config


def _drop_variables(config: Config) -> None:
    """Remove variables, such as ``max_iters``, that only build settings.

    In the complete config, editing them would change nothing.
    """
    read = accepted_names(config, ()) | {'custom_imports'}
    for name in {*config.keys()} - read:
        config.pop(name)


def write_config(config: Config, path: Path) -> None:
    """Write a config without base configs.

    Args:
        config: The config.
        path: The file.
    """
    write_atomically(path, config.pretty_text.encode())
    print(f'The config is {path}')


def command(run: Path, devices: int, *options: str) -> list[str]:
    """The training command; also prints it.

    Args:
        run: Folder of the run.
        devices: Number of processes.
        *options: Options of ``tools/train.py``.

    Returns:
        The command.
    """
    arguments = (str(run / CONFIG), '--work-dir', str(run), *options)
    line = tool('train.py', *arguments)
    if devices > 1:
        line = tool('dist_run.py', '--standalone',
                    f'--nproc_per_node={devices}', *line[1:], '--launcher',
                    'pytorch')
    print(f'Training: {shlex.join(["python", *line[1:]])}', flush=True)
    return line


def _folder(args: argparse.Namespace, task: str) -> Path:
    """The folder of a run."""
    name = Path(args.data).expanduser().resolve().stem
    if args.out is None:
        name = '_'.join(filter(None, (task, args.size, name)))
    out = Path(args.out or Path('work_dirs', name)).expanduser().absolute()
    if (out / CONFIG).exists():
        raise UserError(f'{out} already has a run. `glid resume '
                        f'{shlex.quote(str(out))}` continues it; --out names '
                        'another folder.')
    return out
