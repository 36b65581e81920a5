"""Find the weights of a run and their config."""
import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmengine.registry import Registry

from .. import __version__
from ..checkpoint.tasks import take_task
from ..engine.launch import read_config
from ..engine.runner import checkpoints_of
from ..errors import CheckpointError, UserError
from ..io.checkpoints import find_checkpoint, read_checkpoint
from ..io.settings import read_settings
from .tasks import single_config, tasks_of

# Packages from which a weights file's config may import modules.
_LIBRARIES = ('glid_mm', 'mmengine', 'mmcv', 'mmdet', 'mmpose', 'mmpretrain',
              'mmseg')
# Settings of a config that prediction uses.
_BUILT = ('model', 'test_dataloader', 'visualizer')


class Run(NamedTuple):
    """Weights and their config.

    Attributes:
        path: File of the weights.
        config: The config.
        checkpoint: See :func:`read_checkpoint`.
    """

    path: Path
    config: Config
    checkpoint: dict

    def take(self, task: str) -> 'Run':
        """One task of the run as a run of its own.

        Args:
            task: Its name.

        Raises:
            CheckpointError: If the weights lack it.
        """
        checkpoint = self.checkpoint
        if 'tasks' in self.config.model:
            try:
                checkpoint = take_task(checkpoint, task)
            except CheckpointError as error:
                raise error.of(self.path) from error
        return Run(self.path, single_config(self.config, task), checkpoint)


def read_run(path: str | Path,
             config: str | Path | Config | None = None) -> Run:
    """Read weights along with their config.

    A config in a weights file is read as data. It may name only classes that
    glid_mm and the OpenMMLab libraries register, so reading and building it
    runs no code from the file.

    Args:
        path: Work dir of a run, a checkpoint, a weights file, or
            ``weights:NAME``.
        config: The config; by default the one in the weights, or the one
            beside them.

    Returns:
        Weights and config. For a folder, the weights are the best checkpoint
        that the run has kept, or else the last.

    Raises:
        CheckpointError: If there is no checkpoint, or it cannot be read.
        UserError: If its config cannot be found, or names something outside
            these libraries.
    """
    file = _find_weights(path)
    checkpoint = read_checkpoint(file)
    if isinstance(config, (str, Path)):
        config = read_config(str(config), {})
    meta = checkpoint.get('meta') or {}
    text = meta.get('config') or meta.get('cfg')
    if config is None and text:
        config = _config_of(file, text)
    if config is None:
        config = _config_beside(file)
    tasks_of(config)
    return Run(file, config, checkpoint)


def _find_weights(path: str | Path) -> Path:
    if not Path(path).expanduser().is_dir():
        return find_checkpoint(path)
    folder = Path(path).expanduser()
    found = [
        *_newest_first(folder.glob('best_*.pth')),
        *(p for p in checkpoints_of(str(folder)) if p.is_file())
    ]
    if not found:
        found = [*folder.glob('*.safetensors'), *folder.glob('*.pth')]
        if len(found) > 1:
            raise CheckpointError(
                f'{folder} holds several weights files '
                f'({", ".join(sorted(p.name for p in found)[:5])}). Give the '
                'path of one.')
    if not found:
        raise CheckpointError(
            f'there is no checkpoint in {folder} (best_*.pth, epoch_*.pth, '
            'iter_*.pth or recent.pth). Give the work dir of a run that has '
            'saved one, or a weights file.')
    return found[0]


def _newest_first(paths: Iterator[Path]) -> list[Path]:
    return sorted(paths, key=lambda p: p.stat().st_mtime, reverse=True)


def _config_beside(file: Path) -> Config:
    configs = list(file.parent.glob('*.py'))
    if len(configs) == 1:
        return read_config(str(configs[0]), {})
    raise UserError(
        f'{file} does not contain its config, and there are '
        f'{len(configs) or "no"} configs next to it. Give the config that it '
        'was trained with: config=PATH.')


def _config_of(file: Path, text: str) -> Config:
    """Read a config that came with weights, without running it."""
    cure = ('If you trust the source of the file, give the config yourself: '
            'config=PATH.')
    try:
        values, programs = read_settings(text)
    except SyntaxError as error:
        raise UserError(f'the config in {file} cannot be read: {error}. '
                        f'{cure}') from error
    if programs:
        raise UserError(f'the config in {file} is refused: it contains code '
                        f'({programs[0][:80]!r}), which does not run here. '
                        f'{cure}')
    modules = (values.get('custom_imports') or {}).get('imports') or ()
    for module in [modules] if isinstance(modules, str) else modules:
        if module.split('.')[0] in _LIBRARIES[:1]:
            _import(file, module)
        elif module not in sys.modules:
            raise UserError(
                f'the config in {file} imports {module}, which is not part of '
                f'glid_mm. Import it before you load the weights, or give the '
                'config yourself: config=PATH.')
    strange = next(_strange(values), None)
    if strange:
        raise UserError(f'the config in {file} asks for {strange!r}, which '
                        'neither glid_mm nor a library of OpenMMLab registers.'
                        f' {cure}')
    return Config(values)


def _import(file: Path, module: str) -> None:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise UserError(
            f'the config in {file} needs {module}, which glid_mm '
            f'{__version__} does not have. Use the version that wrote the '
            'file.') from error


def _strange(values: Mapping) -> Iterator[str]:
    """Types in a config that no registry has; mmengine would call them."""
    known = _registered()
    for name in _types([values.get(part) for part in _BUILT]):
        library, _, own = name.rpartition('.')
        if own not in known:
            known = _registered(complete=True)
        if own not in known or library not in ('', *_LIBRARIES):
            yield name


def _types(value) -> Iterator[str]:
    """All types that a config names."""
    if isinstance(value, Mapping):
        if 'type' in value:
            yield str(value['type'])
        for inner in value.values():
            yield from _types(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _types(inner)


def _registered(complete: bool = False) -> set[str]:
    """Names in the registries, optionally after importing all modules."""
    names = set()
    for library in _LIBRARIES:
        module = sys.modules.get(f'{library}.registry')
        for registry in vars(module).values() if module else ():
            if isinstance(registry, Registry):
                if complete:
                    registry.import_from_location()
                names.update(registry.module_dict)
    # mmdet looks some up there, such as RoIAlign.
    names.update(vars(sys.modules.get('mmcv.ops', object)))
    return names
