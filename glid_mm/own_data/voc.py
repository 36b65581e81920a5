"""Boxes in Pascal VOC's format: an XML for each picture."""
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from ..errors import require
from .boxes import BoxCollector
from .checks import chosen_classes, require_most
from .coco import CocoData
from .pairs import Pairs, listed_splits, pair
from .pictures import unlike_sizes
from .tree import Tree
from .words import LeftOut, listed

LAYOUT = ('Pascal VOC: JPEGImages/*.jpg and Annotations/*.xml, or pictures '
          'and XMLs of the same names side by side')
_HEAD = 4096


def find(tree: Tree, task: str) -> Pairs | None:
    """Pictures and their XMLs, if there are any."""
    if tree.main is not None:
        return None
    files = []
    for name in tree.ending('.xml'):
        with open(tree.path(name), 'rb') as file:
            if b'<annotation' in file.read(_HEAD):
                files.append(name)
    pairs = pair(tree.photos, files) if files else None
    return pairs if pairs and pairs.pairs else None


def hint(tree: Tree) -> str:
    """Why the XMLs of a folder are not used, if there are any."""
    files = tree.ending('.xml')
    return files and (f'{listed(files)}: XMLs without a picture of the same '
                      'name, or without <annotation>') or ''


def read(tree: Tree,
         pairs: Pairs,
         task: str,
         classes: Sequence[str] | None = None,
         testing: bool = False) -> CocoData:
    """Read the files that :func:`find` has found.

    Args:
        tree: The folder.
        pairs: Pictures and XMLs.
        task: ``'detection'``.
        classes: Classes to use; by default all.
        testing: Whether chosen classes need not occur.

    Returns:
        The data.

    Raises:
        UserError: If most files cannot be used, or there is no such class.
    """
    require('globox', task='reading boxes of Pascal VOC')
    left_out = LeftOut()
    left_out.update(tree.left_out)
    left_out.add('picture', 'without an XML', *pairs.pictures)
    left_out.add('XML', 'without a picture', *pairs.labels)
    collector = BoxCollector(tree, left_out)
    lists = listed_splits(tree, 'Main')
    files = []
    for picture, label in pairs.pairs:
        split = pairs.split(picture, label, lists)
        if split is None:
            left_out.add('picture', 'that no list in ImageSets names', picture)
            continue
        size = collector.size(picture)
        objects = size and _objects(tree, label, picture, size, left_out)
        if objects is not None:
            files.append((split, picture, size, objects))
    require_most(len(files), len(pairs.pairs), left_out, str(tree.root))
    first = _first_pixel(files)
    found = {box.label for *_, boxes in files for box, _ in boxes}
    there = sorted(found.union(classes or ()) if testing else found)
    names = chosen_classes(classes, there, str(tree.root))
    for split, picture, size, objects in files:
        rows = []
        for box, difficult in objects:
            if box.label not in names:
                left_out.add('box', 'of classes that were not chosen', count=1)
                continue
            if difficult:
                left_out.add('box', 'marked as difficult', count=1)
            rows.append((box.label, _row(box, first, difficult)))
        collector.add(split, picture, size, rows)
    data = CocoData(task, tree.root, 'Pascal VOC', collector.parts, names,
                    left_out)
    data.notes.append('Pixels are counted from 1 in the XMLs'
                      if first else 'Coordinates start at 0 in the XMLs')
    return data


def _objects(tree: Tree, label: str, picture: str, size: tuple[int, int],
             left_out: LeftOut) -> list | None:
    """Boxes of an XML and whether they are difficult; None if invalid."""
    from globox import BoundingBox, ParsingError
    try:
        root = ElementTree.parse(tree.path(label)).getroot()
    except (OSError, ElementTree.ParseError, ValueError) as error:
        left_out.add('XML', 'that cannot be read', f'{label}: {error}')
        return None
    said = [root.findtext(f'size/{side}') for side in ('width', 'height')]
    # Some programs write no size, or zeros.
    if all(text and text.strip().isdigit() and int(text) for text in said):
        said = tuple(int(text) for text in said)
        if said != size:
            left_out.add('picture', 'whose size differs from the labels',
                         unlike_sizes(picture, size, said))
            return None
    objects = []
    for node in root.iter('object'):
        try:
            box = BoundingBox.from_xml(node)
            if not all(map(math.isfinite, box.ltrb)):
                raise ValueError
        except (ParsingError, ValueError, AssertionError):
            left_out.add('box', 'that cannot be read', label)
            continue
        difficult = (node.findtext('difficult') or '0').strip() == '1'
        objects.append((box, difficult))
    return objects


def _first_pixel(files: list) -> int:
    """1 if coordinates are pixels counted from 1, as in VOC, else 0.

    Zeros and fractions show that they are not counted from 1.
    """
    values = [
        value for *_, objects in files for box, _ in objects
        for value in box.ltrb
    ]
    return int(all(value >= 1 and value == int(value) for value in values))


def _row(box, first: int, difficult: bool) -> dict:
    # If pixels are counted, the box includes the last one.
    left, top, right, bottom = box.ltrb
    left, top = left - first, top - first
    # COCO's evaluation ignores crowds; VOC's ignores difficult objects.
    return dict(
        bbox=[left, top, right - left, bottom - top], iscrowd=int(difficult))
