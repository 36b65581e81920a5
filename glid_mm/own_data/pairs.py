"""Match pictures with their label files."""
import os.path as osp
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..errors import UserError
from .data import Part, Sample
from .tree import Tree, place_of
from .words import LeftOut, counted, listed

# Endings that label maps add to the names of their images.
_ENDINGS = ('_mask', '_masks', '_label', '_labels', '_seg', '_segmentation',
            '_gt', '_depth', '-mask', '-label', '_gtFine_labelTrainIds')
_IMAGE_ENDINGS = ('_leftImg8bit', '_rgb', '_color', '_image')


class Pairs(NamedTuple):
    """Pictures and their label files.

    Attributes:
        pairs: Pictures with their label files, in the order of the pictures.
        pictures: Pictures without labels.
        labels: Label files without a picture.
    """

    pairs: list[tuple[str, str]]
    pictures: list[str]
    labels: list[str]

    def split(self,
              picture: str,
              label: str,
              lists: Mapping[str, str] | None = None) -> str | None:
        """The split of a pair.

        Args:
            picture, label: Their paths.
            lists: See :func:`listed_splits`.

        Returns:
            The split from the lists, if there are any, or else from either
            path, or else ``'train'``; None if no list names the picture.
        """
        if lists:
            return lists.get(osp.splitext(osp.basename(picture))[0])
        return place_of(picture).split or place_of(label).split or 'train'


def pair(pictures: Sequence[str], labels: Sequence[str]) -> Pairs:
    """Match pictures with label files by their names.

    The whole path must match, except for words that indicate roles. If one
    side has no splits, or other folders, only the rest or the file name must
    match. Files of different splits never match.

    Args:
        pictures: Paths in a folder.
        labels: The same.

    Returns:
        The matches of the strictest rule that finds the most.

    Raises:
        UserError: If two pictures or two label files have the same key by
            that rule.
    """
    places = {name: place_of(name) for name in {*pictures, *labels}}
    best: dict[str, list[str]] = {}
    for rule in (lambda p: p[:1] + p[2:], lambda p: p[2:], lambda p: p[3:]):
        keys = _keys({name: rule(places[name]) for name in labels})
        found = {}
        for name in pictures:
            key = rule(places[name])
            others = keys.get(key) or keys.get(_bare(key, _IMAGE_ENDINGS), [])
            found[name] = [
                other for other in others
                if _agree(places[name].split, places[other].split)
            ]
        if not best or _matches(found) > _matches(best):
            best = found
        if _matches(best) == min(len(pictures), len(labels)):
            break
    _refuse_doubles(best)
    pairs = [(name, others[0]) for name, others in best.items() if others]
    used = {label for _, label in pairs}
    return Pairs(pairs, [n for n, others in best.items() if not others],
                 [label for label in labels if label not in used])


def has_ending(name: str) -> bool:
    """Whether a file name has the ending of a label map."""
    key = place_of(name)[3:]
    return _bare(key, _ENDINGS) != key


def _agree(one: str | None, other: str | None) -> bool:
    return None in (one, other) or one == other


def _matches(found: dict[str, Sequence[str]]) -> int:
    """Number of labels that match exactly one picture."""
    times = Counter(others[0] for others in found.values() if len(others) == 1)
    return sum(count == 1 for count in times.values())


def _refuse_doubles(found: dict[str, Sequence[str]]) -> None:
    of = defaultdict(list)
    for picture, labels in found.items():
        if len(labels) > 1:
            raise UserError(
                f'{counted(len(labels), "file")} could be the labels of the '
                f'picture {picture}: {listed(labels)}. Move the wrong '
                'ones out of the folder.')
        for label in labels:
            of[label].append(picture)
    for label, pictures in of.items():
        if len(pictures) > 1:
            raise UserError(
                f'{counted(len(pictures), "picture")} would have the labels '
                f'{label}: {listed(pictures)}. Give each picture a unique '
                'name.')


def _keys(names: dict[str, tuple]) -> dict[tuple, list[str]]:
    """Files by their keys; files without the ending only if none has it."""
    whole, bare = defaultdict(list), defaultdict(list)
    for name, key in names.items():
        whole[key].append(name)
        short = _bare(key, _ENDINGS)
        if short != key:
            bare[short].append(name)
    return {**bare, **whole}


def _bare(key: tuple, endings: Iterable[str]) -> tuple:
    *folders, stem = key
    for ending in endings:
        if stem.lower().endswith(ending.lower()) and len(stem) > len(ending):
            return *folders, stem[:-len(ending)]
    return key


def find_pairs(tree: Tree, role: str, suffixes: tuple) -> Pairs | None:
    """Match pictures with the files in folders of a role."""
    if tree.main is not None:
        return None
    labels = _of_role(tree, role, suffixes)
    photos = [name for name in tree.photos if place_of(name).role != role]
    pairs = pair(photos, labels) if labels and photos else None
    return pairs if pairs and pairs.pairs else None


def hint_of(tree: Tree, role: str, suffixes: tuple, what: str) -> str:
    """Why files in folders of a role are not used; '' if there are none.

    Args:
        tree: The folder.
        role: See :func:`find_pairs`.
        suffixes (tuple[str]): The same.
        what: The files, in words.
    """
    files = _of_role(tree, role, suffixes)
    if not files:
        return ''
    return f'{listed(files)}: {what} without a picture of the same name'


def _of_role(tree: Tree, role: str, suffixes: tuple) -> list[str]:
    return [
        name for name in tree.ending(*suffixes) if place_of(name).role == role
    ]


def paired_parts(tree: Tree, pairs: Pairs, what: str,
                 left_out: LeftOut) -> dict[str, Part]:
    """Pairs by split; each record is the path of the label file.

    Args:
        tree: The folder.
        pairs: Pictures and their label files.
        what: Noun for the labels.
        left_out: Collects unused data.

    Returns:
        The parts by split.
    """
    left_out.update(tree.left_out)
    left_out.add('picture', f'without a {what}', *pairs.pictures)
    left_out.add(what, 'without a picture', *pairs.labels)
    lists = listed_splits(tree, 'Segmentation')
    parts: dict[str, Part] = {}
    for picture, label in pairs.pairs:
        split = pairs.split(picture, label, lists)
        if split is None:
            left_out.add('picture', 'that no list in ImageSets names', picture)
            continue
        part = parts.setdefault(split, Part(tree.root, []))
        part.samples.append(Sample(picture, record=label))
    return parts


def listed_splits(tree: Tree, kind: str) -> dict[str, str]:
    """Splits from ``ImageSets/KIND/train.txt`` and similar lists.

    Args:
        tree: The folder.
        kind: ``'Main'`` or ``'Segmentation'``.

    Returns:
        The split of each stem; empty without lists.
    """
    stems = {place_of(name).stem for name in tree.pictures}
    found = {}
    for file, split in (('trainval.txt', 'train'), ('default.txt', 'train'),
                        ('train.txt', 'train'), ('val.txt', 'val'),
                        ('valid.txt', 'val'), ('test.txt', 'test')):
        for name in tree.named(file):
            if f'/imagesets/{kind.lower()}/' not in f'/{name.lower()}':
                continue
            for line in tree.lines(name):
                stem = osp.basename(line.strip())
                if stem not in stems:
                    # Lists of a class add -1, 0 or 1 to the name.
                    stem = re.sub(r'\s+(-1|0|1)$', '', stem)
                if stem:
                    found[stem] = split
    return found
