"""Pictures and label maps in folders."""
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..datasets.decode import ImageError
from ..datasets.label_maps import ColouredMapError, read_label_map
from ..errors import UserError
from ..io.files import write_atomically
from .checks import chosen_classes, require_most
from .data import OwnData, Part, Sample
from .label_names import (UNLABELLED, ColourReader, LabelNames, Reader, binary,
                          find_names, is_palette)
from .pairs import Pairs, find_pairs, has_ending, hint_of, pair, paired_parts
from .pictures import picture_size, spread
from .tree import Tree
from .words import RARE, LeftOut, listed

LAYOUT = ('label maps: images/{train,val}/*.jpg and labels/{train,val}/*.png '
          '(or masks, annotations, SegmentationClass), with or without train '
          'and val, or 1.jpg and 1_mask.png side by side')
SUFFIXES = ('.png', '.bmp', '.tif', '.tiff', '.gif', '.jpg', '.jpeg')
#: How many label maps are read to count the labels.
LOOKED_AT = 500
# Largest ratio of the range of labels to their number for class numbers; grey
# levels have wider gaps.
_DENSE = 4


class MaskData(OwnData):
    """Label maps.

    Attributes:
        looked_at (int): Number of maps that were read.
        white_is_class (bool): Whether 255 is a class.
    """

    unit = 'pixel'
    looked_at = 0
    white_is_class = False

    def head(self) -> dict:
        """See :class:`OwnData`."""
        return {'model.decode_head.num_classes': len(self.classes)}

    def dataset(self, out: Path, split: str, part: Part) -> dict:
        """See :class:`OwnData`; ``extra`` reads maps to be converted."""
        names = [s.record for s in part.samples]
        folder = part.root
        if part.extra is not None:
            folder = out / 'labels' / split
            names = [_convert(part, name, folder) for name in names]
        lines = [
            f'{s.picture}\t{name}\n' for s, name in zip(part.samples, names)
        ]
        file = out / f'{split}.txt'
        write_atomically(file, ''.join(lines).encode())
        return {
            'data_root': str(part.root),
            'ann_file': str(file),
            'data_prefix.img_path': str(part.root),
            'data_prefix.seg_map_path': str(folder),
            'metainfo.classes': self.classes
        }

    def _contents(self) -> list[str]:
        total = sum(
            (s.counts for part in self.parts.values() for s in part.samples),
            Counter())
        images = Counter(name for part in self.parts.values()
                         for s in part.samples for name in s.counts)
        pixels = total.total() or 1
        said = [
            f'{name} {100 * total[name] / pixels:.3g} %'
            for name in sorted(self.classes, key=lambda n: -total[n])
            if total[name]
        ]
        where = f'in {self.looked_at:,} label maps'
        text = (f'{len(self.classes)} classes by share of pixels '
                f'{where}: {listed(said, 20)}')
        rare = [
            f'{name} {images[name]}' for name in self.classes
            if 0 < images[name] < RARE and images[name] < self.looked_at
        ]
        if rare:
            text += f'; in few of them: {listed(rare, 8)}'
        missing = [name for name in self.classes if not total[name]]
        if missing:
            text += f'; no pixel of {listed(missing, 8)}'
        return [text]


def _convert(part: Part, name: str, folder: Path) -> str:
    """Write a map with class numbers.

    An earlier one may be of other data, or of other colours.
    """
    # a.png and a.tif may be in one folder.
    new = f'{name}.png'
    data = io.BytesIO()
    Image.fromarray(part.extra(str(part.root / name))).save(data, 'PNG')
    write_atomically(folder / new, data.getvalue())
    return new


def find(tree: Tree, task: str) -> Pairs | None:
    """Pictures and their label maps, if there are any."""
    pairs = find_pairs(tree, 'labels', SUFFIXES)
    if pairs is None and tree.main is None:
        # Side by side: 1.jpg and 1_mask.png.
        labels = [name for name in tree.photos if has_ending(name)]
        photos = [name for name in tree.photos if not has_ending(name)]
        pairs = pair(photos, labels) if labels and photos else None
    return pairs if pairs and pairs.pairs else None


def hint(tree: Tree) -> str:
    """Why label maps are not used."""
    return hint_of(tree, 'labels', SUFFIXES, 'label maps')


def read(tree: Tree,
         pairs: Pairs,
         task: str,
         classes: Sequence[str] | None = None,
         white_is_class: bool = True) -> MaskData:
    """Read the files that :func:`find` has found.

    Args:
        tree: The folder.
        pairs: Pictures and label maps.
        task: ``'semantic'``.
        classes: Classes to use, by default all; if the folder names none,
            the names of 0, 1, 2, ….
        white_is_class: Whether 255 is a class in maps of only 0 and 255, or
            else means unlabelled there, too.

    Returns:
        The data.

    Raises:
        UserError: If colours stand for unknown classes, labels have no names,
            most maps cannot be used, or there is no such class.
    """
    left_out = LeftOut()
    parts = paired_parts(tree, pairs, 'label map', left_out)
    samples = [s for part in parts.values() for s in part.samples]
    require_most(len(samples), len(pairs.pairs), left_out, str(tree.root))
    looked_at = spread(samples, LOOKED_AT)
    source = find_names(tree)
    reader, notes = _reader(tree, source, looked_at)
    counts = _count(tree, looked_at, reader, left_out)
    broken = {s.picture for s in looked_at} - set(counts)
    require_most(
        len(samples) - len(broken), len(pairs.pairs), left_out, str(tree.root))
    found = sorted(set().union(*counts.values()) - {UNLABELLED})
    unlabelled = any(UNLABELLED in labels for labels in counts.values())
    white_is_class &= unlabelled and found in ([], [0])
    if white_is_class:
        # Black and white, as some programs write a single class.
        reader, found = binary(reader), [0, 1]
        counts = {name: _as_binary(labels) for name, labels in counts.items()}
        notes.append('Label maps have only 0 and 255, so 255 is a class and '
                     'does not mean unlabelled')
    elif unlabelled:
        notes.append('255 means unlabelled')
    there, note = _class_names(tree, source, classes, found)
    notes.append(note)
    names = there
    if source and classes:
        # A background that the file does not name need not be chosen.
        added = there[:len(there) - len(source.names)]
        chosen = [*(name for name in added if name not in classes), *classes]
        names = list(chosen_classes(chosen, there, str(tree.root)))
    if names != there:
        reader = _renumbered(reader, there, names)
        left_out.add('class', 'whose pixels become unlabelled',
                     *(name for name in there if name not in names))
    for sample in looked_at:
        sample.counts = Counter({
            there[label]: count
            for label, count in counts.get(sample.picture, {}).items()
            if label in found and there[label] in names
        })
    parts = {k: part.only(broken, inside=False) for k, part in parts.items()}
    if reader is not read_label_map:
        for part in parts.values():
            part.extra = reader
        notes.append('The run uses converted label maps with class numbers; '
                     'your files do not change')
    data = MaskData(task, tree.root, 'label maps', parts, names, left_out)
    data.looked_at = len(counts)
    data.white_is_class = white_is_class
    data.notes += notes
    return data


def _as_binary(labels: Counter) -> Counter:
    """Counts of 0 and 255 as counts of 0 and 1."""
    return Counter({int(label > 0): count for label, count in labels.items()})


def _renumbered(read: Reader, there: list[str], names: list[str]) -> Reader:
    """Reads label maps with the classes of another order.

    Args:
        read: Reader of the label maps.
        there: Their classes.
        names: Some or all of these, in the new order; other pixels become
            unlabelled.
    """
    kind = np.uint8 if len(names) < UNLABELLED else np.uint16
    numbers = np.full(max(len(there), UNLABELLED + 1), UNLABELLED, kind)
    for label, name in enumerate(there):
        if name in names:
            numbers[label] = names.index(name)

    def read_renumbered(path: str) -> np.ndarray:
        labels = read(path)
        wrong = (labels >= len(there)) & (labels != UNLABELLED) | (labels < 0)
        if wrong.any():
            raise UserError(
                f'the label map {path} has the label {labels[wrong][0]}, but '
                f'there are only {len(there)} classes: {listed(there, 10)}. '
                'Correct the map, or name all classes.')
        return numbers[labels]

    return read_renumbered


def _reader(tree: Tree, names: LabelNames | None,
            samples: list[Sample]) -> tuple[Reader, list[str]]:
    """The reader of label maps, for numbers or for colours."""
    path = tree.path(samples[0].record)
    try:
        read_label_map(str(path))
        # Grey levels may stand for classes too.
        coloured = is_palette(path) or names is not None and all(
            len(set(colour)) == 1 for colour in names.colours)
    except ColouredMapError as error:
        if names is None or not names.colours:
            raise UserError(
                f'{error} Or put a file labelmap.txt into {tree.root} with '
                'a line name:r,g,b:: for each colour, and the maps will be '
                'converted.') from error
        coloured = True
    except UserError:
        # Skip a damaged map and look at others.
        coloured = bool(names and names.colours)
    if not (coloured and names and names.colours):
        return read_label_map, []
    return (ColourReader(names, str(tree.path(names.file))),
            [f'{names.file} defines the colours of the classes'])


def _count(tree: Tree, samples: list[Sample], reader: Reader,
           left_out: LeftOut) -> dict[str, Counter]:
    """Pixels of each label by picture, only for maps that fit."""
    found = {}
    for sample in samples:
        try:
            sample.size = picture_size(tree.path(sample.picture))
        except ImageError as error:
            left_out.add('picture', 'that cannot be read',
                         f'{sample.picture}: {error.reason}')
            continue
        try:
            labels = reader(str(tree.path(sample.record)))
        except ColouredMapError:
            raise
        except UserError as error:
            left_out.add('label map', 'that cannot be read', str(error))
            continue
        if labels.shape != sample.size[::-1]:
            left_out.add(
                'picture', 'whose size differs from the label map',
                f'{sample.picture}: {sample.size[0]}×{sample.size[1]} and '
                f'{labels.shape[1]}×{labels.shape[0]}')
            continue
        values, counts = np.unique(labels, return_counts=True)
        found[sample.picture] = Counter(
            dict(zip(values.tolist(), counts.tolist())))
    return found


def _class_names(tree: Tree, names: LabelNames | None,
                 asked: Sequence[str] | None,
                 found: list[int]) -> tuple[list[str], str]:
    """Names of the classes 0, 1, 2, …, and a sentence about them."""
    number = max(found, default=0) + 1
    if asked is None and names is None:
        if number > _DENSE * len(found):
            raise UserError(
                f'the label maps in {tree.root} have {len(found)} labels up '
                f'to {number - 1}: {listed(found, 10)}. They seem to be grey '
                'levels rather than class numbers 0, 1, 2, …. Put '
                'a file labelmap.txt there with a line name:r,g,b:: for '
                'each, such as road:128,128,128::, and the maps will be '
                'converted. If they are class numbers, name the classes in '
                'classes.txt.')
        return ([f'class_{i}' for i in range(number)],
                'No file names the classes (classes.txt), so they are called '
                'class_0, …; label 0 is an ordinary class')
    given = list(names.names if names else asked)
    source = names.file if names else 'classes'
    # These maps may lack the last class.
    unnamed = (
        names and not names.colours and len(given) >= number
        and 'background' in (asked or ()) and 'background' not in given)
    if len(given) == number - 1 or unnamed:
        why = ('without the background'
               if unnamed else f'and labels go up to {len(given)}')
        return (['background', *given],
                f'{source} names {len(given)} classes {why}, so label 0 '
                'becomes the background')
    if len(given) < number:
        raise UserError(
            f'the label maps in {tree.root} have labels up to {number - 1}, '
            f'but {source} names {len(given)} classes: {listed(given, 10)}. '
            'Name all classes, in the order of their labels.')
    return given, f'Label 0 is {given[0]}'
