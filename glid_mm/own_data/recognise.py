"""Recognize the data in a folder."""
import os.path as osp
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from . import coco, keypoints, masks, panoptic, rgbd, unlabelled, voc, yolo
from .data import OwnData, Part
from .tree import Tree
from .words import counted, listed

_FORMATS = dict(
    detection=(coco, yolo, voc),
    instance=(coco, yolo),
    panoptic=(panoptic, ),
    semantic=(masks, ),
    depth=(rgbd, ),
    pose=(keypoints, ),
    pretrain=(unlabelled, ))
# Options of some formats' read().
_OPTIONS = {
    masks: ['white_is_class'],
    rgbd: ['depth_scale'],
    voc: ['testing'],
    yolo: ['testing']
}
#: Tasks that data can serve.
TASKS = tuple(_FORMATS)
_WITHOUT_CLASSES = ('depth', 'pretrain')


def recognise(folder: str | Path,
              task: str,
              val: str | Path | float | None = None,
              classes: Sequence[str] | None = None,
              depth_scale: float | None = None,
              testing: bool = False) -> OwnData:
    """Recognize the format of a folder's data, and read it.

    Nothing is written. Only the headers of pictures are read.

    Args:
        folder: The data; or, where a folder has several, the file that
            describes one: a JSON of COCO or a YAML of YOLO.
        task: One of :data:`TASKS`.
        val: The validation part of data that has none: a share below 1 or a
            number of images, a text file with one picture name per line, or
            another folder or file of the same kind. By default a tenth.
        classes: Classes to use, in this order, by default all; for label maps
            without names, the names of 0, 1, 2, ….
        depth_scale: Units per metre in depth maps; by default guessed: 1000
            for millimetres, 256 for KITTI.
        testing: Whether the data is only for a test: the part that ``val``
            chooses; or else its test part, its validation part, or all of it.

    Returns:
        The data, to be described and prepared.

    Raises:
        UserError: If there is no such folder or task, the folder has no data
            for the task or for training or has it in two formats, or the data
            is invalid. The message names the expected formats, the files
            found, and a cure.
        MissingLibraryError: If the format needs a library that is missing.
    """
    if task not in _FORMATS:
        raise UserError(f'there is no task {task!r}. Tasks are '
                        f'{", ".join(TASKS)}.')
    if classes is not None and task in _WITHOUT_CLASSES:
        raise UserError(f'{task} has no classes. Omit classes.')
    if depth_scale is not None and task != 'depth':
        raise UserError(f'{task} has no depth. Omit depth_scale.')
    tree = Tree.of(folder)
    options = dict(depth_scale=depth_scale, testing=testing)
    if testing and classes is not None and len(classes) > 2:
        options['white_is_class'] = False
    data = _read(tree, task, classes, **options)
    if 'train' not in data.parts and not (testing and val is None):
        raise UserError(
            f'{data.root} has images for {listed(data.parts)} but none for '
            'training. Put the word "train" into the names of the folders or '
            'files for training, or give the path of a JSON instead of the '
            'folder.')
    if val is not None:
        if testing and _is_number(val):
            raise UserError(
                f'val={val} would set images aside from training, but a test '
                'trains nothing. Omit val, or give a text file with picture '
                'names or another folder.')
        _set_validation(data, val, classes is not None, **options)
    if testing:
        first = ('test', 'val') if val is None else ('val', 'test')
        data.parts = dict(test=data.part_of(*first, 'train'))
    return data


def _read(tree: Tree, task: str, classes: Sequence[str] | None,
          **options) -> OwnData:
    found, errors = [], []
    for kind in _FORMATS[task]:
        try:
            layout = kind.find(tree, task)
        except UserError as error:
            errors.append(error)
            continue
        if layout:
            found.append((kind, layout))
    if not found:
        raise errors[0] if errors else _nothing(tree, task)
    if len(found) > 1:
        raise UserError(
            f'{tree.root} has data for the task {task} in {len(found)} '
            'formats: ' + '; and '.join(kind.LAYOUT for kind, _ in found) +
            '. Move one of them elsewhere, or give the path of the JSON or '
            'data.yaml instead of the folder.')
    (kind, layout), = found
    own = {n: options[n] for n in _OPTIONS.get(kind, ()) if n in options}
    return kind.read(tree, layout, task, classes, **own)


def _nothing(tree: Tree, task: str) -> UserError:
    """The error for a folder without data for a task."""
    formats = _FORMATS[task]
    hints = [text for kind in formats if (text := kind.hint(tree))]
    fits = []
    for other, kinds in _FORMATS.items():
        try:
            if any(kind.find(tree, other) for kind in kinds):
                fits.append(other)
        except UserError:
            # It has files for the task, but they are invalid.
            fits.append(other)
    looked_for = '; or '.join(kind.LAYOUT for kind in formats)
    where = tree.path(tree.main) if tree.main else tree.root
    text = (f'{where} has no data for the task {task}. Looked for: '
            f'{looked_for}. Found: {tree.summary()}')
    if hints:
        text += f'. Not used: {"; ".join(hints)}'
    if fits:
        text += f'. The data fits the task {" or ".join(fits)}'
    elif not tree.pictures:
        text += '. There are no pictures: put them into this folder'
    return UserError(f'{text}. docs/own-data.md shows the layouts.')


def _set_validation(data: OwnData, val: str | Path | float, chosen: bool,
                    **options) -> None:
    """Set the validation data requested by the user."""
    if not data.validates:
        raise UserError(f'{data.task} has no validation. Omit val.')
    if 'val' in data.parts:
        raise UserError(
            f'{data.root} has its own validation part, of '
            f'{len(data.parts["val"].samples)} images. Omit val, or give '
            'only the training data instead of the folder.')
    if _is_number(val):
        share = float(val)
        if not (0 < share < 1 or share >= 1 and share.is_integer()):
            raise UserError(f'val={val} must be a share between 0 and 1 '
                            'or a number of images.')
        count = len(data.parts['train'].samples)
        if share >= count:
            raise UserError(f'val={val} images for validation must be fewer '
                            f'than the {count} of the data.')
        data.share = share if share < 1 else int(share)
    elif str(val).endswith('.txt') and Path(val).is_file():
        data.parts.update(_listed(data.parts['train'], Path(val)))
    else:
        # The numbers of label maps need names to be compared.
        maps = isinstance(data, masks.MaskData)
        if maps:
            options['white_is_class'] = data.white_is_class
        other = _read(
            Tree.of(val), data.task, data.classes if maps else None, **options)
        data.adopt(other, chosen and not maps)


def _is_number(val: str | Path | float) -> bool:
    try:
        float(val)
    except (TypeError, ValueError):
        return False
    return True


def _listed(train: Part, path: Path) -> dict[str, Part]:
    """Split training data by a list of validation images."""
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'the list {path} cannot be read as text: {error}. '
                        'Save it as UTF-8.') from error
    wanted = dict.fromkeys(line.strip() for line in lines if line.strip())
    names, found = set(), set()
    for sample in train.samples:
        name = osp.basename(sample.picture)
        fitting = wanted.keys() & {sample.picture, name, osp.splitext(name)[0]}
        if fitting:
            names.add(sample.picture)
            found |= fitting
    missing = [line for line in wanted if line not in found]
    if missing:
        raise UserError(
            f'{path}: no image of the data fits '
            f'{counted(len(missing), "line")}: {listed(missing)}. Each line '
            'must be the name of a picture, or its path in the data, such as '
            f'{train.samples[0].picture}. Remove other lines.')
    if not names or len(names) == len(train.samples):
        raise UserError(
            f'{path} names {len(names)} of the {len(train.samples)} images. '
            'It must name some of them but not all, one per line.')
    return dict(
        train=train.only(names, inside=False),
        val=train.only(names, inside=True))
