"""Find the config for a task and a size."""
from pathlib import Path

from mmengine.config import Config

from ..checkpoint.formats import facts_of, recognise, to_glid
from ..errors import UserError
from ..io.checkpoints import read_checkpoint
from ..io.shipped import SCHEME
from ..prediction.runs import read_run
from .tools import SHIPPED

#: Size -> its name in config files.
SIZES = dict(
    nano='nano', tiny='swin-t', small='swin-s', base='swin-b', large='swin-l')

#: Task -> folder of its configs, and the names of those for own data.
FOLDERS = dict(
    pretrain='pretrain',
    semantic='segmentation',
    instance='instance',
    panoptic='panoptic',
    detection='detection',
    depth='depth',
    pose='pose')


def config_for(task: str, size: str) -> Path:
    """The config of a task for the user's own data.

    Args:
        task: A key of :data:`FOLDERS`.
        size: A key of :data:`SIZES`.

    Returns:
        The file. Pre-training has one config per size, for any pictures.
    """
    data = '*' if task == 'pretrain' else '*_custom*'
    path, = (SHIPPED / 'configs' /
             FOLDERS[task]).glob(f'glid_{SIZES[size]}_{data}.py')
    return path


class Start:
    """The initial weights of a training run.

    Args:
        path: A checkpoint of glid_mm, the folder of a run, ``weights:NAME``,
            or a Swin in a known format.

    Attributes:
        size (str or None): A key of :data:`SIZES`; None for other sizes.

    Raises:
        CheckpointError: If the file cannot be read.
        UserError: If it contains no Swin.
    """

    def __init__(self, path: str) -> None:
        checkpoint = None
        if Path(path).expanduser().is_dir():
            path, _, checkpoint = read_run(path)
        self.path = str(path) if str(path).startswith(SCHEME) else str(
            Path(path).expanduser().resolve())
        checkpoint = checkpoint or read_checkpoint(self.path)
        found = recognise(checkpoint)
        if found is None:
            raise UserError(f'--weights {path}: the file holds no known Swin. '
                            '`glid convert inspect` shows what a file '
                            'contains.')
        self.format = found.format
        if self.format != 'glid':
            checkpoint = to_glid(checkpoint).checkpoint
        facts = facts_of(checkpoint)
        self.size = facts and facts.published

    def put_into(self, config: Config) -> None:
        """Set these weights as the start of a training run.

        Args:
            config: The config; changed in place.
        """
        if self.format == 'glid':
            config.load_from = self.path
        else:
            config.model.backbone.init_cfg = dict(
                type='glid_mm.Pretrained',
                checkpoint=self.path,
                parts=('encoder', ))
