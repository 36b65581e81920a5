"""Any folder of pictures, or of shards, to pre-train on."""
import os.path as osp
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..datasets.decode import ImageError
from ..datasets.shards import is_sharded, shard_addresses
from ..errors import UserError
from ..io.files import write_atomically
from .data import OwnData, Part, Sample
from .pictures import picture_size, spread
from .tree import Tree, place_of
from .words import LeftOut, counted

LAYOUT = 'pictures in a folder and its subfolders, or shards of them'
_LOOKED_AT = 200


class ImageFolder(OwnData):
    """Images without labels."""

    validates = False

    def dataset(self, out: Path, split: str, part: Part) -> dict:
        """See :class:`OwnData`; ``extra`` is true if some are unused."""
        settings = dict(data_root=str(self.root), data_prefix='')
        if part.extra:
            file = out / 'images.txt'
            lines = ''.join(f'{s.picture}\n' for s in part.samples)
            write_atomically(file, lines.encode())
            settings['ann_file'] = str(file)
        return settings

    def _contents(self) -> list[str]:
        return []


def find(tree: Tree, task: str) -> bool | None:
    """Whether there are pictures or shards."""
    return bool(tree.pictures or is_sharded(str(tree.root))) or None


def hint(tree: Tree) -> str:
    """An empty string, because there are no pictures."""
    return ''


def read(tree: Tree,
         found: bool,
         task: str,
         classes: Sequence[str] | None = None) -> ImageFolder:
    """Read the pictures or shards of a folder.

    Args:
        tree: The folder.
        found: Always true.
        task: ``'pretrain'``.
        classes: Must be None, because there are no classes.

    Returns:
        The data.

    Raises:
        UserError: If shards are incomplete, or no opened picture can be read.
    """
    left_out = LeftOut()
    left_out.update(tree.left_out)
    if is_sharded(str(tree.root)):
        names = shard_addresses(str(tree.root))
        samples = [Sample(name) for name in names]
        return ImageFolder(task, tree.root, 'shards of pictures',
                           dict(train=Part(tree.root, samples)), (), left_out)
    pictures = set(tree.pictures)
    # Beside a folder named images, others hold photos too.
    photos = [
        name
        for name in tree.pictures if place_of(name).role in ('images', None)
    ] or tree.photos
    others = Counter(
        osp.splitext(name)[1].lower() or 'that have no suffix'
        for name in tree.files if name not in pictures)
    maps = len(pictures) - len(photos)
    left_out.add('picture', 'in folders of labels', count=maps)
    samples = [Sample(name) for name in photos]
    looked_at = spread(samples, _LOOKED_AT)
    broken = 0
    for sample in looked_at:
        try:
            sample.size = picture_size(tree.path(sample.picture))
        except ImageError as error:
            broken += 1
            left_out.add('picture', 'that cannot be read',
                         f'{sample.picture}: {error.reason}')
    if broken == len(looked_at):
        raise UserError(f'{tree.root}: no picture that was opened can be '
                        f'used: {left_out}.')
    for kind, count in others.items():
        left_out.add('file', kind, count=count)
    data = ImageFolder(task, tree.root, 'a folder of pictures',
                       dict(train=Part(tree.root, samples, extra=maps > 0)),
                       (), left_out)
    if len(samples) > len(looked_at):
        data.notes.append(f'{counted(len(looked_at), "picture")} of them were '
                          'opened')
    return data
