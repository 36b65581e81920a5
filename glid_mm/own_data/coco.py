"""Boxes and masks in COCO's format."""
import json
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..io.files import write_atomically
from .checks import chosen_classes
from .coco_files import find, hint
from .coco_reader import LOOKED_AT, Reader
from .data import OwnData, Part
from .tree import Tree
from .words import LeftOut, listed

__all__ = ['LAYOUT', 'CocoData', 'find', 'hint', 'read', 'read_parts']

LAYOUT = ("COCO's format: a JSON such as annotations/train.json, "
          'annotations/instances_train2017.json or '
          'train/_annotations.coco.json, and folders of pictures')


class CocoData(OwnData):
    """Boxes or masks; other formats are converted to this one."""

    unit = 'box'

    def head(self) -> dict:
        """See :class:`OwnData`."""
        key = ('bbox_head.num_classes' if self.task == 'detection' else
               'panoptic_head.num_things_classes')
        return {f'model.{key}': len(self.classes)}

    def dataset(self, out: Path, split: str, part: Part) -> dict:
        """See :class:`OwnData`."""
        file, base = self._file(out, split, part)
        return {
            'data_root': str(part.root),
            'ann_file': str(file),
            'data_prefix.img': f'{base}/',
            **self.meta(out)
        }

    def meta(self, out: Path) -> dict:
        """Settings of a data set for the classes."""
        return {'metainfo.classes': self.classes}

    def metric(self, dataset: dict) -> dict:
        """See :class:`OwnData`."""
        return dict(ann_file=dataset['ann_file'])

    def _file(self, out: Path, split: str, part: Part) -> tuple[Path, Path]:
        if part.file is not None:
            return part.file, part.base
        path = out / f'{split}.json'
        content = json.dumps(self._content(part))
        write_atomically(path, content.encode())
        return path, part.root

    def _content(self, part: Part) -> dict:
        """The part in COCO's format; classes are numbered from 1."""
        numbers = {name: i for i, name in enumerate(self.classes, 1)}
        categories = [
            dict(id=i, name=name, **self.category())
            for name, i in numbers.items()
        ]
        return dict(
            images=[
                dict(s.record[0], file_name=s.picture) for s in part.samples
            ],
            annotations=[
                dict(annotation, category_id=numbers[name])
                for s in part.samples for name, annotation in s.record[1]
                if name in numbers
            ],
            categories=categories)

    def category(self) -> dict:
        """Fields of a category's entry besides id and name."""
        return {}


def read(tree: Tree,
         files: dict[str, str],
         task: str,
         classes: Sequence[str] | None = None) -> CocoData:
    """Read the files that :func:`find` has found.

    Args:
        tree: The folder.
        files: A file for each split.
        task: ``'detection'`` or ``'instance'``.
        classes: Classes to use; by default all.

    Returns:
        The data.

    Raises:
        UserError: See :func:`read_parts`.
    """
    names, parts, left_out, _ = read_parts(tree, files, task, classes)
    layout = 'COCO ' + ('masks' if task == 'instance' else 'boxes')
    data = CocoData(task, tree.root, layout, parts, names, left_out)
    note_looked_at(data)
    return data


def read_parts(tree: Tree,
               files: dict[str, str],
               task: str,
               classes: Sequence[str] | None = None,
               kind: type[Reader] = Reader):
    """Read files of one format; the first file defines the classes.

    Args:
        tree: The folder.
        files: A file for each split.
        task: The task to train.
        classes: Classes to use; by default all.
        kind: Reader of a file.

    Returns:
        tuple: The classes, parts by split, a ``LeftOut``, and the readers by
        split.

    Raises:
        UserError: If a file is invalid, its pictures are missing, the classes
            of the files differ, or a requested class is missing.
    """
    left_out = LeftOut()
    left_out.update(tree.left_out)
    readers = {
        split: kind(tree, name, split if len(files) > 1 else None, task)
        for split, name in files.items()
    }
    first = next(iter(readers.values()))
    names = chosen_classes(classes, first.classes, first.path)
    parts = {}
    for split, reader in readers.items():
        parts[split] = reader.part(names, left_out)
        strange = sorted(reader.used - set(first.classes))
        if strange:
            raise UserError(
                f'{reader.path} has objects of classes {listed(strange)}, '
                f'which {first.path} does not list. Give both files the same '
                '"categories".')
    _note_unlisted(tree, readers, left_out)
    return names, parts, left_out, readers


def note_looked_at(data: OwnData) -> None:
    """Add a note if not all pictures were opened."""
    most = max(len(part.samples) for part in data.parts.values())
    if most > LOOKED_AT:
        data.notes.append(
            f'{LOOKED_AT} pictures of each part were opened to check for '
            'damage')


def _note_unlisted(tree: Tree, readers: dict[str, Reader],
                   left_out: LeftOut) -> None:
    """Note pictures that the files do not list."""
    known = {name for reader in readers.values() for name in reader.listed}
    bases = tuple(f'{reader.base}/' if reader.base else ''
                  for reader in readers.values())
    alone = [
        name for name in tree.pictures
        if name not in known and name.startswith(bases)
    ]
    left_out.add('picture', 'that no annotation file lists', *alone)
