"""Panoptic segments in COCO's format: a JSON and PNGs."""
import json
import os.path as osp
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from ..datasets.coco import require_fields, require_unique_ids
from ..errors import UserError
from ..io.files import write_atomically
from .coco import note_looked_at, read_parts
from .coco_files import find
from .coco_reader import FIELDS, Reader
from .data import OwnData, Part, Sample
from .tree import Tree, split_in
from .words import LeftOut, listed

__all__ = ['LAYOUT', 'PanopticData', 'find', 'hint', 'read']

LAYOUT = ("COCO's panoptic format: annotations/panoptic_train.json, "
          'panoptic_train/*.png and a folder of pictures, and the same for '
          'val')


def hint(tree: Tree) -> str:
    """Why the JSON files of a folder are not used: they lack segments."""
    files = tree.ending('.json')
    return files and f'{listed(files)}: JSONs without "segments_info"' or ''


class PanopticData(OwnData):
    """Things and stuff; ``things`` is the number of thing classes."""

    unit = 'segment'
    things = 0

    def head(self) -> dict:
        """See :class:`OwnData`."""
        return {
            'model.panoptic_head.num_things_classes':
            self.things,
            'model.panoptic_head.num_stuff_classes':
            len(self.classes) - self.things
        }

    def dataset(self, out: Path, split: str, part: Part) -> dict:
        """See :class:`OwnData`; ``extra`` is the folder of PNGs."""
        file, base, pngs = part.file, part.base, part.extra
        if file is None:
            file, base, pngs = out / f'{split}.json', part.root, part.root
            content = json.dumps(self._content(part))
            write_atomically(file, content.encode())
        return {
            'data_root': str(part.root),
            'ann_file': str(file),
            'data_prefix.img': f'{base}/',
            'data_prefix.seg': f'{pngs}/',
            'metainfo.classes': self.classes
        }

    def _content(self, part: Part) -> dict:
        numbers = {name: i for i, name in enumerate(self.classes, 1)}
        return dict(
            images=[
                dict(s.record[0], file_name=s.picture) for s in part.samples
            ],
            annotations=[
                dict(
                    s.record[1],
                    segments_info=[
                        dict(segment, category_id=numbers[name])
                        for name, segment in s.record[2] if name in numbers
                    ]) for s in part.samples
            ],
            categories=[
                dict(id=i, name=name, isthing=int(i <= self.things))
                for name, i in numbers.items()
            ])

    def _contents(self) -> list[str]:
        text = (f'The first {self.things} classes are things, with separate '
                'objects' if self.things else
                'All classes are stuff, without separate objects')
        return [*super()._contents(), text]


class PanopticReader(Reader):
    """A file of segments; see :class:`Reader`.

    Attributes:
        folder (str): The folder of PNGs in the tree.
        isthing (dict[str, bool]): Whether each class is a thing.
    """

    noun = 'annotation'
    fields = dict(
        images=FIELDS['images'],
        annotations=('image_id', 'file_name', 'segments_info'),
        categories=('id', 'name', 'isthing'))

    def __init__(self, tree: Tree, name: str, split: str | None,
                 task: str) -> None:
        super().__init__(tree, name, split, task)
        self.isthing = {
            c['name']: bool(c['isthing'])
            for c in self.content['categories']
        }
        # Data sets list things before stuff.
        self.classes.sort(key=lambda c: not self.isthing[c])
        self.folder = self._find_folder(split_in(osp.basename(name)) or split)

    def check(self) -> None:
        """Refuse an invalid file."""
        file = str(self.path)
        require_fields(file, self.content, self.fields)
        rows = self.content['annotations']
        lists = [row['segments_info'] for row in rows]
        if not all(isinstance(segments, list) for segments in lists):
            raise UserError(f"{file}: 'segments_info' of every annotation "
                            'must be a list.')
        require_fields(
            file, dict(segments=[s for segments in lists for s in segments]),
            dict(segments=('id', 'category_id')))
        rows = [dict(id=row['image_id']) for row in rows]
        require_unique_ids(file, dict(self.content, annotations=rows))

    def takes(self, category: dict) -> bool:
        """Every category is a class."""
        return True

    def _find_folder(self, split: str | None) -> str:
        by_name = defaultdict(list)
        for path in self.tree.ending('.png'):
            by_name[osp.basename(path)].append(path)
        votes: Counter = Counter()
        for row in self.content['annotations']:
            for path in by_name[osp.basename(row['file_name'])]:
                if f'/{path}'.endswith(f'/{row["file_name"]}'):
                    votes[path[:-len(row['file_name'])].rstrip('/')] += 1
        votes.pop(self.base, None)

        def rank(folder):
            fits = split_in(folder)
            return ('panoptic' in folder.lower(), fits == split, fits
                    is None, votes[folder])

        if not votes:
            raise UserError(
                f'{self.path} names PNGs of segments, but none of them is in '
                f'{self.tree.root}. Put their folder, such as '
                f'panoptic_{split or "train"}, there.')
        return max(votes, key=rank)

    def sample(self, image: dict, rows: Iterable[dict], classes: Sequence[str],
               left_out: LeftOut) -> Sample | None:
        """See :class:`Reader`."""
        rows = list(rows)
        png = rows and osp.join(self.folder, rows[0]['file_name'])
        if not rows or png not in self._pngs:
            left_out.add(
                'image',
                'whose PNG is missing' if rows else 'without segments',
                image['file_name'])
            self.as_is = False
            return None
        segments = []
        for segment in rows[0]['segments_info']:
            if segment.get('category_id') not in self.names:
                raise UserError(
                    f'{self.path}: a segment of image {image["id"]} has '
                    f'category {segment.get("category_id")}, which the file '
                    'does not list. Add it to "categories".')
            name = self.names[segment['category_id']]
            self.used.add(name)
            segments.append((name, segment))
        return Sample(self.pictures[image['id']],
                      (image['width'], image['height']),
                      Counter(name for name, _ in segments),
                      (image, dict(rows[0], file_name=png), segments))

    @cached_property
    def _pngs(self) -> set[str]:
        return set(self.tree.ending('.png'))


def read(tree: Tree,
         files: dict[str, str],
         task: str,
         classes: Sequence[str] | None = None) -> PanopticData:
    """Read the files that :func:`find` has found.

    Args:
        tree: The folder.
        files: A file for each split.
        task: ``'panoptic'``.
        classes: All classes, because every pixel has one.

    Returns:
        The data.

    Raises:
        UserError: See :func:`~glid_mm.own_data.coco.read_parts`; or if PNGs
            are missing or some classes are left out.
    """
    names, parts, left_out, readers = read_parts(tree, files, task, classes,
                                                 PanopticReader)
    first = next(iter(readers.values()))
    if len(names) < len(first.classes):
        raise UserError(
            f'{first.path} has {len(first.classes)} classes, and a panoptic '
            'model learns all of them. Omit classes.')
    for split, reader in readers.items():
        parts[split].extra = tree.root / reader.folder
    # The model numbers things first.
    names = sorted(names, key=lambda name: not first.isthing[name])
    data = PanopticData(task, tree.root, 'COCO panoptic segments', parts,
                        names, left_out)
    data.things = sum(first.isthing[name] for name in names)
    note_looked_at(data)
    return data
