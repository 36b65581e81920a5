"""Boxes and polygons in YOLO's format: a text file for each picture."""
import math
import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UserError, require
from .boxes import BoxCollector
from .checks import chosen_classes, require_most
from .coco import CocoData
from .outlines import area_of
from .pairs import Pairs, pair
from .pictures import spread
from .tree import Tree
from .words import LeftOut, counted, listed
from .yolo_yaml import find_yaml, names_of, read_yaml, splits_of

LAYOUT = ('YOLO: data.yaml or classes.txt, images/{train,val}/*.jpg and '
          'labels/{train,val}/*.txt')
# Text files that do not list boxes.
_OTHER = ('classes.txt', 'obj.txt', 'train.txt', 'val.txt', 'valid.txt',
          'test.txt', 'names.txt', 'labels.txt', 'labelmap.txt')
# Rounding may move coordinates slightly outside 0 to 1.
_LEAST, _MOST = -0.1, 1.1


@dataclass
class Layout:
    """Files of a data set.

    Attributes:
        yaml: The file that describes the data set.
        settings: Its content.
        splits: See :func:`splits_of`.
        photos: Pictures in folders for images, and those of ``splits``.
        pairs: Pictures and label files.
    """

    yaml: str | None
    settings: dict
    splits: list | None
    photos: list[str]
    pairs: Pairs


def find(tree: Tree, task: str) -> Layout | None:
    """Pictures and their texts, if these are boxes or polygons."""
    if tree.main not in (None, *tree.ending('.yaml', '.yml')):
        return None
    texts = [
        name for name in tree.ending('.txt')
        if osp.basename(name).lower() not in _OTHER
    ]
    if not texts:
        return None
    yaml = find_yaml(tree)
    settings = read_yaml(tree, yaml) if yaml else {}
    splits = splits_of(tree, yaml, settings)
    named = {
        picture
        for picture in tree.pictures
        for _, where in splits or () if where and _inside(picture, where)
    }
    photos = sorted(named.union(tree.photos))
    pairs = pair(photos, texts)
    lengths = _lengths(tree, [label for _, label in pairs.pairs])
    if not lengths:
        return None
    polygons = max(lengths) >= 7 and not settings.get('kpt_shape')
    if task == 'instance' and not polygons:
        return None
    return Layout(yaml, settings, splits, photos, pairs)


def hint(tree: Tree) -> str:
    """Why the text files of a folder are not used, if there are any."""
    texts = [
        name for name in tree.ending('.txt')
        if osp.basename(name).lower() not in _OTHER
    ]
    return texts and (f'{listed(texts)}: text files without YOLO boxes, or '
                      'without the polygons of instance segmentation (with '
                      'kpt_shape in the YAML, they have keypoints), or '
                      'without a picture of the same name') or ''


def _lengths(tree: Tree, labels: list[str]) -> list[int]:
    """Numbers per line in the first lines of some text files."""
    found = []
    for name in spread(labels, 200):
        for line in tree.lines(name)[:3]:
            try:
                found.append(len([float(value) for value in line.split()]))
            except ValueError:
                continue
    return [length for length in found if length > 4]


def read(tree: Tree,
         layout: Layout,
         task: str,
         classes: Sequence[str] | None = None,
         testing: bool = False) -> CocoData:
    """Read the files that :func:`find` has found.

    Args:
        tree: The folder.
        layout: The files.
        task: ``'detection'`` or ``'instance'``.
        classes: Classes to use; by default all.
        testing: Whether chosen classes need not occur, if classes are numbers.

    Returns:
        The data. Pictures without a text are empty.

    Raises:
        UserError: If a text file is damaged or has a class without a name,
            most pictures cannot be used, or a chosen class is missing.
    """
    require('globox', task="reading boxes of YOLO's format")
    pairs, settings = layout.pairs, layout.settings
    left_out = LeftOut()
    left_out.update(tree.left_out)
    left_out.add('label file', 'without a picture', *pairs.labels)
    collector = BoxCollector(tree, left_out)
    labels = dict(pairs.pairs)
    # In a line, keypoints follow the box.
    end = 5 if settings.get('kpt_shape') else None
    texts = {
        picture: _parse(tree, label, end)
        for picture, label in labels.items()
    }
    there, source = names_of(tree, layout.yaml, settings, texts)
    _require_named(tree, labels, texts, there, source)
    if testing and source is None:
        numbered = [f'class_{i}' for i in range(len(classes or ()))]
        there = max(there, numbered, key=len)
    names = chosen_classes(classes, there, source or str(tree.root))
    empty = used = 0
    for picture in layout.photos:
        split = _split(layout, picture, labels.get(picture, picture))
        if split is None:
            left_out.add('picture', f'that {layout.yaml} does not name',
                         picture)
            continue
        size = collector.size(picture)
        if size is None:
            continue
        rows = []
        for _, values in texts.get(picture, ()):
            row = _row(values, size, task)
            if row is None:
                left_out.add('box', 'without a polygon', picture)
            elif there[values[0]] not in names:
                left_out.add('box', 'of classes that were not chosen', count=1)
            else:
                rows.append((there[values[0]], row))
        empty += picture not in labels
        used += 1
        collector.add(split, picture, size, rows)
    require_most(used, len(layout.photos), left_out, str(tree.root))
    kind = 'polygons' if task == 'instance' else 'boxes'
    data = CocoData(task, tree.root, f'YOLO {kind}', collector.parts, names,
                    left_out)
    if end:
        data.notes.append('Keypoints (kpt_shape) are not used')
    if empty:
        data.notes.append(
            f'{counted(empty, "image")} without a label file, used as images '
            'without objects')
    if source is None:
        data.notes.append('No file names the classes (data.yaml or '
                          'classes.txt), so they are called class_0, …')
    return data


def _parse(tree: Tree, name: str, end: int | None) -> list[tuple[int, list]]:
    """Lines of a text: their numbers, and class and shares up to ``end``."""
    found = []
    for number, line in enumerate(tree.lines(name), 1):
        values = line.split()[:end]
        if not values:
            continue
        where = f'{tree.path(name)}, line {number}'
        try:
            label, *shares = map(float, values)
        except ValueError:
            raise UserError(f'{where}: {line[:100]!r} is not in YOLO\'s '
                            'format, a class and numbers.') from None
        if len(shares) != 4 and (len(shares) < 6 or len(shares) % 2):
            raise UserError(
                f'{where} has {len(shares)} numbers after the class. A box '
                'has 4 (centre, width and height), a polygon 6 or more, x '
                'and y in turn.')
        if not all(_LEAST <= share <= _MOST for share in shares):
            raise UserError(
                f'{where}: {line[:100]!r} has numbers outside 0 to 1. YOLO '
                "coordinates are shares of the picture's width and height; "
                'divide pixels by them.')
        if label != int(label) or label < 0:
            raise UserError(f'{where}: the class {values[0]} must be a whole '
                            'number, 0 or more.')
        found.append((number, [int(label), *shares]))
    return found


def _row(values: list, size: tuple[int, int], task: str) -> dict | None:
    """A line in COCO's format; None if it lacks a required polygon."""
    from globox import BoundingBox
    line = ' '.join(map(repr, values))
    if len(values) == 5:
        if task == 'instance':
            return None
        # A negative width would raise an AssertionError.
        if min(values[3:]) < 0:
            return dict(bbox=[0., 0., 0., 0.])
        box = BoundingBox.from_yolo_darknet(line, image_size=size)
        return dict(bbox=list(box.ltwh))
    box = BoundingBox.from_yolo_seg(line, image_size=size)
    row = dict(bbox=list(box.ltwh))
    if task == 'instance':
        polygon = [share * size[i % 2] for i, share in enumerate(values[1:])]
        image = dict(width=size[0], height=size[1])
        row.update(segmentation=[polygon], area=area_of(row, [polygon], image))
    return row


def _require_named(tree: Tree, labels: dict, texts: dict, names: list[str],
                   source: str | None) -> None:
    for picture, lines in texts.items():
        for number, values in lines:
            if values[0] >= len(names):
                raise UserError(
                    f'{tree.path(labels[picture])}, line {number}: there is '
                    f'no class {values[0]}. {source} names '
                    f'{counted(len(names), "class")}, 0 to {len(names) - 1}: '
                    f'{listed(names, 10)}. Correct the line, or add names.')


def _inside(picture: str, where: str | set[str]) -> bool:
    """Whether a picture is in a folder or a list of the YAML."""
    return (picture.startswith(where)
            if isinstance(where, str) else picture in where)


def _split(layout: Layout, picture: str, label: str) -> str | None:
    if layout.splits is None:
        return layout.pairs.split(picture, label)
    fitting = [(split, where) for split, where in layout.splits
               if _inside(picture, where)]
    # Of folders in folders, the innermost one.
    return max(
        fitting,
        key=lambda s: len(s[1]) if isinstance(s[1], str) else math.inf,
        default=(None, ))[0]
