"""The runs of a study, and their configs."""
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config

from ..checkpoint.report import ALL_PARTS
from ..engine.overrides import apply_overrides, read_value
from ..errors import CheckpointError, UserError
from ..io.checkpoints import find_checkpoint
from ..io.files import write_atomically

Settings = tuple[tuple[str, str], ...]


class Start(NamedTuple):
    """The weights that a run starts from.

    Attributes:
        name: Its name in tables.
        checkpoint: A file, ``weights:NAME``, or '' for random weights.
        parts: Parts of the model to load; empty for all parts.
        config: Config of a different model; '' for the study's own.
    """

    name: str
    checkpoint: str = ''
    parts: tuple[str, ...] = ()
    config: str = ''


class Arm(NamedTuple):
    """An arm of a comparison; its runs differ only in their seeds.

    Attributes:
        start: The weights.
        fraction: Share of training images; see :func:`fraction_of`.
        settings: Further keys of the config and their values, as written on
            the command line.
    """

    start: Start
    fraction: float = 1.
    settings: Settings = ()

    @property
    def cell(self) -> tuple[float, Settings]:
        """The settings that arms share if only their starts differ."""
        return self.fraction, self.settings

    def __str__(self) -> str:
        words = [self.start.name]
        if self.fraction > 1:
            words.append(f'{self.fraction:g} images')
        elif self.fraction < 1:
            words.append(f'{100 * self.fraction:.4g} % of the images')
        words += [f'{k.rpartition(".")[2]} {v}' for k, v in self.settings]
        return ', '.join(words)


class Run(NamedTuple):
    """One training run.

    Attributes:
        arm: Its arm.
        seed: Its seed.
        lr: Its learning rate; None for the config's.
        folder: Folder for its files.
    """

    arm: Arm
    seed: int
    lr: float | None
    folder: Path

    @property
    def config(self) -> Path:
        """Its config, which :func:`plan_runs` writes.

        It is beside the folder, because mmengine writes the final config of
        a run into the folder under the same name.
        """
        return self.folder.with_suffix('.py')


def read_start(text: str, checkpoint: str = '') -> Start:
    """Read a start from the command line.

    Args:
        text: 'none', 'all', parts such as 'encoder+neck', or 'NAME=FILE:PARTS'
            to load another file.
        checkpoint: The file if the text names none.

    Raises:
        UserError: If the part does not exist or there is no file.
    """
    name, given, rest = text.partition('=')
    file, _, parts = rest.rpartition(':') if given else (checkpoint, '', name)
    if parts == 'none':
        return Start(name)
    chosen = () if parts == 'all' else tuple(parts.split('+'))
    unknown = [part for part in chosen if part not in ALL_PARTS]
    if unknown:
        raise UserError(
            f'{text}: {unknown[0]!r} is not a part of a model. Write none, '
            f'all, or some of {", ".join(ALL_PARTS)} with + between them; to '
            'use other weights, write NAME=FILE:PARTS')
    if not file:
        raise UserError(f'{text}: no checkpoint to load from. Give --weights')
    try:
        find_checkpoint(file)
    except CheckpointError as error:
        raise UserError(f'{text}: {error}') from error
    return Start(name, file, chosen)


def beside(config: str, start: Start) -> Start:
    """A start of another model, to compare with the study's.

    Args:
        config: Config of the same task and data.
        start: Start of that model.
    """
    # The part of a config's name before GPUs and batch size.
    model = re.split(r'_\d+xb\d', Path(config).stem)[0]
    return start._replace(name=f'{model}: {start.name}', config=config)


def plan_runs(configs: dict[str, Config],
              out: Path,
              arms: Sequence[Arm],
              seeds: Sequence[int],
              lrs: dict[Arm, Sequence[float | None]],
              cover_classes: bool = False) -> list[Run]:
    """Write the configs of all runs.

    Args:
        configs: Configs of a task, by :attr:`Start.config`; each is shared by
            all runs of a model.
        out: The study's folder.
        arms: The arms to compare.
        seeds: Seeds of each arm. The run's seed draws the images of a
            fraction, so arms of one seed train on the same images.
        lrs: Learning rates of each arm.
        cover_classes: See :func:`fraction_of`.

    Returns:
        The runs, seed by seed, so that an interrupted study is balanced.

    Raises:
        UserError: If the folder holds runs of another study, or a setting is
            unused.
    """
    runs = []
    for seed, arm in itertools.product(seeds, arms):
        for lr in lrs[arm]:
            words = [_slug(str(arm))]
            words += [] if lr is None else [f'lr-{lr:g}']
            run = Run(arm, seed, lr, out / '_'.join(words) / f'seed-{seed}')
            config = configs[arm.start.config]
            _write(_config_of(run, config, cover_classes), run.config)
            runs.append(run)
    return runs


def _config_of(run: Run, config: Config, cover_classes: bool) -> Config:
    config = config.copy()
    start, fraction, settings = run.arm
    apply_overrides(config, {k: read_value(v) for k, v in settings})
    if run.lr is not None:
        config.optim_wrapper.optimizer.lr = run.lr
    options = {
        'randomness.seed': run.seed,
        'work_dir': str(run.folder),
        # The last checkpoint is for resuming; others are not needed.
        'default_hooks.checkpoint.max_keep_ckpts': 1,
        'default_hooks.checkpoint.save_best': None,
    }
    if start.checkpoint:
        options['model.backbone.init_cfg'] = dict(
            type='glid_mm.Pretrained',
            checkpoint=str(find_checkpoint(start.checkpoint).resolve()),
            parts=start.parts or None)
    if fraction != 1:
        options['train_dataloader.dataset'] = dict(
            _delete_=True,
            type='glid_mm.Fraction',
            fraction=fraction,
            seed=run.seed,
            cover_classes=cover_classes,
            dataset=config.train_dataloader.dataset.to_dict())
    config.merge_from_dict(options)
    return config


def _write(config: Config, path: Path) -> None:
    text = config.pretty_text
    if path.exists() and path.read_text() != text:
        raise UserError(f'{path} is from another study with different '
                        'settings. Give another --out, or remove that folder')
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def _slug(text: str) -> str:
    return re.sub(r'[^\w.+-]+', '-', text.replace(' %', 'pc')).strip('-')
