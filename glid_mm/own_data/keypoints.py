"""Keypoints in COCO's format, of any number and names."""
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from pprint import pformat

from ..errors import UserError
from ..io.files import write_atomically
from .coco import CocoData, note_looked_at, read_parts
from .coco_files import find
from .coco_reader import FIELDS, Reader
from .data import OwnData, Part, Sample
from .tree import Tree
from .words import LeftOut, counted, listed

__all__ = ['LAYOUT', 'PoseData', 'find', 'hint', 'read']

LAYOUT = ("COCO's keypoints: a JSON such as annotations/train.json or "
          'annotations/person_keypoints_train2017.json, and folders of '
          'pictures')
# Standard deviations of COCO's 17 keypoints, relative to the square root of
# the object's area (cocodataset.org, keypoints evaluation), and a medium value
# for other keypoints.
_SIGMAS = dict(
    nose=.026,
    eye=.025,
    ear=.035,
    shoulder=.079,
    elbow=.072,
    wrist=.062,
    hip=.107,
    knee=.087,
    ankle=.089)
_SIGMA = .05
# Parts of the lower body, for RandomHalfBody.
_LOWER = ('hip', 'knee', 'ankle', 'foot', 'toe', 'heel', 'hock', 'tail')
_COLOURS = dict(left=[0, 255, 0], right=[255, 128, 0], middle=[51, 153, 255])


def hint(tree: Tree) -> str:
    """Why the JSON files of a folder are not used: they lack keypoints."""
    files = tree.ending('.json')
    return files and f'{listed(files)}: JSONs without "keypoints"' or ''


class PoseData(CocoData):
    """Objects with keypoints.

    Attributes:
        keypoints: Names, in the order of the annotations.
        skeleton: Lines to draw, with keypoints numbered from 0.
    """

    unit = 'object'
    keypoints: tuple[str, ...] = ()
    skeleton: Sequence[tuple[int, int]] = ()

    def head(self) -> dict:
        """See :class:`OwnData`."""
        return {'model.backbone.num_queries': len(self.keypoints)}

    def meta(self, out: Path) -> dict:
        """See :class:`CocoData`; boxes come from the labels."""
        path = out / 'keypoints.py'
        text = pformat(
            metainfo(self.root.name, self.keypoints, self.skeleton),
            sort_dicts=False)
        text = ("# The keypoints of a data set, in mmpose's format.\n"
                f'dataset_info = \\\n{text}\n')
        write_atomically(path, text.encode())
        return {'metainfo.from_file': str(path), 'bbox_file': None}

    def metric(self, dataset: dict) -> dict:
        """The metric reads the keypoints from the data set."""
        return {}

    def samples(self, part: Part) -> int:
        """See :class:`OwnData`; each object is a sample."""
        return part.total().total()

    def adopt(self, other: OwnData, chosen: bool) -> None:
        """See :class:`OwnData`."""
        super().adopt(other, chosen)
        require_same(other.root, other.keypoints, self.root, self.keypoints)

    def category(self) -> dict:
        """See :class:`CocoData`."""
        return dict(
            keypoints=list(self.keypoints),
            skeleton=[[a + 1, b + 1] for a, b in self.skeleton])

    def _contents(self) -> list[str]:
        seen = Counter()
        for part in self.parts.values():
            for sample in part.samples:
                for _, row in sample.record[1]:
                    seen.update(i for i, v in enumerate(row['keypoints'][2::3])
                                if v)
        marked = ', '.join(f'{name} {seen[i]:,}'
                           for i, name in enumerate(self.keypoints))
        pairs = sum(a < b for a, b in enumerate(mirrored(self.keypoints)))
        text = (
            f'{counted(len(self.keypoints), "keypoint")} and how often each '
            f'is labelled: {marked}. {counted(pairs, "pair")} of left and '
            'right by their names')
        return [*super()._contents(), text]


class KeypointReader(Reader):
    """A file of keypoints; see :class:`Reader`."""

    noun = 'object'
    fields = dict(FIELDS, annotations=(*FIELDS['annotations'], 'bbox'))

    def takes(self, category: dict) -> bool:
        """Whether a category has keypoints."""
        return 'keypoints' in category or not any(
            'keypoints' in c for c in self.content['categories'])

    def sample(self, image: dict, rows: Iterable[dict], classes: Sequence[str],
               left_out: LeftOut) -> Sample | None:
        """See :class:`Reader`."""
        with_names = [row for row in rows if row['category_id'] in self.names]
        self.as_is &= len(with_names) == len(rows)
        return super().sample(image, with_names, classes, left_out)

    def complete(self, row: dict, image: dict,
                 left_out: LeftOut) -> dict | None:
        """See :class:`Reader`."""
        points = row.get('keypoints')
        if not points or len(points) != 3 * len(self.keypoints):
            if points:
                raise UserError(
                    f'{self.path}: annotation {row["id"]} has '
                    f'{len(points) / 3:g} keypoints (x, y and visibility '
                    f'each) instead of {len(self.keypoints)}: '
                    f'{", ".join(self.keypoints)}. Correct it.')
            left_out.add('object', 'without keypoints', count=1)
            return None
        whole = super().complete(row, image, left_out)
        if 'num_keypoints' not in row:
            marked = sum(v > 0 for v in points[2::3])
            whole = dict(whole, num_keypoints=marked)
        return whole

    def why_unused(self, row: dict, image: dict) -> str | None:
        """See :class:`Reader`."""
        if not row.get('iscrowd') and not any(row['keypoints'][2::3]):
            return 'without a labelled keypoint'
        return super().why_unused(row, image)

    @cached_property
    def keypoints(self) -> tuple[str, ...]:
        """Names of the keypoints.

        Raises:
            UserError: If categories have different keypoints.
        """
        found = {
            tuple(c['keypoints']): c['name']
            for c in self.content['categories'] if c.get('keypoints')
        }
        if len(found) > 1:
            raise UserError(
                f'{self.path}: {listed(found.values())} have different '
                'keypoints, but a model predicts only one set. Put each '
                'category into its own file.')
        if found:
            return next(iter(found))
        lengths = {
            len(a['keypoints'])
            for a in self.content['annotations'] if a.get('keypoints')
        }
        return tuple(f'keypoint_{i}'
                     for i in range(max(lengths, default=0) // 3))

    @property
    def skeleton(self) -> list[tuple[int, int]]:
        """Lines between keypoints, numbered from 0."""
        lines = [c.get('skeleton') for c in self.content['categories']]
        pairs = [
            pair for skeleton in lines if isinstance(skeleton, list)
            for pair in skeleton
            if isinstance(pair, list) and len(pair) == 2 and all(
                isinstance(number, int) for number in pair)
        ]
        # COCO counts from 1, some programs from 0.
        first = 0 if any(0 in pair for pair in pairs) else 1
        count = len(self.keypoints)
        pairs = [(a - first, b - first) for a, b in pairs]
        return list(
            dict.fromkeys(
                (a, b) for a, b in pairs if 0 <= a < count and 0 <= b < count))


def read(tree: Tree,
         files: dict[str, str],
         task: str,
         classes: Sequence[str] | None = None) -> PoseData:
    """Read the files that :func:`find` has found.

    Args:
        tree: The folder.
        files: A file for each split.
        task: ``'pose'``.
        classes: Classes to use; by default all.

    Returns:
        The data.

    Raises:
        UserError: See :func:`~glid_mm.own_data.coco.read_parts`; or if
            keypoints of files or categories differ, or no object has any.
    """
    names, parts, left_out, readers = read_parts(tree, files, task, classes,
                                                 KeypointReader)
    first = next(iter(readers.values()))
    for reader in readers.values():
        require_same(reader.path, reader.keypoints, first.path,
                     first.keypoints)
    for split, part in parts.items():
        if not any(sample.counts for sample in part.samples):
            raise UserError(f'{readers[split].path}: no object has a labelled '
                            'keypoint (third number 1 or 2).')
    data = PoseData(task, tree.root, 'COCO keypoints', parts, names, left_out)
    data.keypoints, data.skeleton = first.keypoints, first.skeleton
    note_looked_at(data)
    return data


def require_same(what: str | Path, names: Sequence[str], other: str | Path,
                 others: Sequence[str]) -> None:
    """Refuse keypoints that differ, or are in another order.

    Args:
        what: File or folder.
        names: Its keypoints.
        other: What it must fit.
        others: The keypoints of that.

    Raises:
        UserError: If they differ.
    """
    if tuple(names) != tuple(others):
        raise UserError(f'{what} has the keypoints {", ".join(names)}, but '
                        f'{other} has {", ".join(others)}. Both must have the '
                        'same keypoints in the same order.')


def mirrored(names: Sequence[str]) -> list[int]:
    """The index of each keypoint's counterpart in a mirror image.

    Args:
        names: Keypoint names, such as ``left_eye``, ``REye``, ``ear-l``.

    Returns:
        One index per name.
    """
    numbers = {name: i for i, name in enumerate(names)}
    swap = list(range(len(names)))
    for i, name in enumerate(names):
        for other in _mirrored_names(name):
            if other != name and other in numbers:
                swap[i] = numbers[other]
                swap[numbers[other]] = i
                break
    return swap


def _mirrored_names(name: str) -> Iterable[str]:
    for left, right in (('left', 'right'), ('Left', 'Right'), ('LEFT',
                                                               'RIGHT')):
        if left in name:
            yield name.replace(left, right)
    # A letter on its own, or before a capital: l_eye, ear-l, LEye.
    for left, right in ('lr', 'LR'):
        yield re.sub(rf'(?<![a-zA-Z]){left}(?![a-zA-Z])', right, name)
        yield re.sub(rf'(?<![a-zA-Z]){left}(?=[A-Z][a-z])', right, name)


def _side(i: int, swap: list[int], names: Sequence[str]) -> str:
    if swap[i] == i:
        return 'middle'
    return 'left' if names[swap[i]] in _mirrored_names(names[i]) else 'right'


def metainfo(name: str, keypoints: Sequence[str],
             skeleton: Sequence[tuple[int, int]]) -> dict:
    """The definition of keypoints that mmpose reads.

    Args:
        name: Name of the data set.
        keypoints: Names, in the order of the annotations.
        skeleton: Lines to draw, with keypoints numbered from 0.

    Returns:
        ``dataset_name``, ``keypoint_info``, ``skeleton_info``,
        ``joint_weights`` and ``sigmas``.
    """
    swap = mirrored(keypoints)
    sides = [_side(i, swap, keypoints) for i in range(len(keypoints))]
    points = {
        i:
        dict(
            name=point,
            id=i,
            color=_COLOURS[sides[i]],
            type='lower' if any(part in point.lower()
                                for part in _LOWER) else 'upper',
            swap='' if swap[i] == i else keypoints[swap[i]])
        for i, point in enumerate(keypoints)
    }
    lines = {
        i:
        dict(
            link=(keypoints[a], keypoints[b]),
            id=i,
            color=_COLOURS[sides[a] if sides[a] == sides[b] else 'middle'])
        for i, (a, b) in enumerate(skeleton)
    }
    return dict(
        dataset_name=name or 'own',
        keypoint_info=points,
        skeleton_info=lines,
        joint_weights=[1.] * len(keypoints),
        sigmas=_sigmas(keypoints))


def _sigmas(keypoints: Sequence[str]) -> list[float]:
    bare = [re.sub('^(left|right)_', '', name) for name in keypoints]
    # COCO's names are for people; other objects have other parts.
    if set(bare) == set(_SIGMAS):
        return [_SIGMAS[name] for name in bare]
    return [_SIGMA] * len(keypoints)
