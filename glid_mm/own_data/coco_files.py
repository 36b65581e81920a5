"""Find the JSON files of a folder with annotations for a task."""
import os.path as osp
from collections import defaultdict
from collections.abc import Sequence

from ..errors import UserError
from .tree import Tree, split_in
from .words import listed

# Words in file names that indicate the content.
_KINDS = dict(
    instances='boxes',
    bbox='boxes',
    detection='boxes',
    keypoints='keypoints',
    keypoint='keypoints',
    pose='keypoints',
    panoptic='panoptic',
    captions='other',
    info='other',
    results='other')
# Bytes to read to recognize a JSON of this format.
_HEAD = 1 << 16


def find(tree: Tree, task: str) -> dict[str, str] | None:
    """Annotation files of a folder.

    Args:
        tree: The folder.
        task: ``'detection'``, ``'instance'``, ``'pose'`` or ``'panoptic'``.

    Returns:
        A file for each split; only ``'train'`` if there is one file.

    Raises:
        UserError: If two files are for one split.
    """
    if tree.main is not None:
        # The user decides its split.
        ours = tree.main.lower().endswith('.json') and _holds(
            tree, tree.main, task)
        return dict(train=tree.main) if ours else None
    files = [n for n in tree.ending('.json') if _looks_like_coco(tree, n)]
    kinds = {name: _kind_of_name(name) for name in files}
    for kind in _wanted(task):
        fitting = [
            name for name in files
            if kinds[name] == kind and _holds(tree, name, task)
        ]
        if fitting:
            return _by_split(tree, fitting)
    return None


def hint(tree: Tree) -> str:
    """Why the JSON files of a folder are not used, if there are any."""
    files = tree.ending('.json')
    if not files or any(_looks_like_coco(tree, name) for name in files):
        return ''
    return (f'{listed(files)}: not in COCO\'s format, which is a JSON object '
            'with "images", "annotations" and "categories"')


def _wanted(task: str) -> tuple:
    """Kinds of files for a task, the best first."""
    return dict(
        pose=('keypoints', None, 'boxes'),
        panoptic=('panoptic', None)).get(task, ('boxes', None, 'keypoints'))


def _kind_of_name(name: str) -> str | None:
    words = osp.basename(name).lower().replace('-', '_').replace('.', '_')
    found = [_KINDS[word] for word in words.split('_') if word in _KINDS]
    # "instances_train_from_panoptic" are instances.
    return found[0] if found else None


def _looks_like_coco(tree: Tree, name: str) -> bool:
    with open(tree.path(name), 'rb') as file:
        head = file.read(_HEAD)
    return any(
        key in head for key in (b'"images"', b'"annotations"', b'"categories"',
                                b'"licenses"'))


def _holds(tree: Tree, name: str, task: str) -> bool:
    """Whether the content is for a task; damage is found later."""
    if not tree.main and _kind_of_name(name) and task in ('detection',
                                                          'panoptic'):
        # Rely on the name, because large files take long to read.
        return True
    content = tree.json(name)
    if not isinstance(content, dict) or 'images' not in content:
        return False
    rows = _objects(content, 'annotations')
    if task == 'instance':
        return any(row.get('segmentation') for row in rows)
    keys = set(rows[0]) if rows else set()
    if task == 'panoptic':
        return 'segments_info' in keys
    if task == 'pose':
        return 'keypoints' in keys or any(
            'keypoints' in row for row in _objects(content, 'categories'))
    return 'segments_info' not in keys and 'caption' not in keys


def _objects(content: dict, part: str) -> list[dict]:
    rows = content.get(part)
    rows = rows if isinstance(rows, list) else []
    return [row for row in rows if isinstance(row, dict)]


def _by_split(tree: Tree, names: Sequence[str]) -> dict[str, str]:
    found = defaultdict(list)
    for name in names:
        where = split_in(osp.basename(name)) or split_in(osp.dirname(name))
        found[where].append(name)
    if 'train' not in found and None in found:
        found['train'] = found.pop(None)
    elif len(names) == 1:
        found = dict(train=names)
    found.pop(None, None)
    for split, files in found.items():
        if len(files) > 1:
            raise UserError(
                f'{tree.root} has {len(files)} annotation files that could '
                f'be for {split}: {listed(files)}. Give the path of the '
                f'right one instead of the folder: {tree.path(files[0])}')
    return {split: found[split][0] for split in ('train', 'val', 'test')
            if split in found}  # yapf: disable
