"""Use the head's ``ignore_index`` for all unsupervised pixels.

Transforms, preprocessors and metrics have their own settings for it, 255 by
default. All of them follow the head.
"""
from collections.abc import Iterator
from typing import Any

from ...errors import UserError

# mmseg's default, which counts as unset.
_UNSAID = 255
_SETTINGS = ('ignore_index', 'seg_pad_val')


def follow(part: Any, ignore_index: int, where: str) -> None:
    """Make a part of a run use the head's value.

    Args:
        part: A transform, a preprocessor or a metric; changed in place. A
            part without such a setting does not change.
        ignore_index: The head's value.
        where: Name of the part in errors.

    Raises:
        UserError: If it is set to another value; names both settings.
    """
    for name in _SETTINGS:
        value = getattr(part, name, None)
        if isinstance(value, int) and value != ignore_index:
            _refuse_unless_unsaid(value, ignore_index, f'{name} of {where}')
            setattr(part, name, ignore_index)
    pads = getattr(part, 'pad_val', None)
    if isinstance(pads, dict) and pads.get('seg', _UNSAID) != ignore_index:
        # mmcv's Pad has one value for each kind of map.
        _refuse_unless_unsaid(
            pads.get('seg', _UNSAID), ignore_index,
            f"pad_val['seg'] of {where}")
        part.pad_val = {**pads, 'seg': ignore_index}


def transforms_of(dataset: Any) -> Iterator[Any]:
    """All transforms of a data set, including nested ones.

    Args:
        dataset: A data set of mmengine, or a wrapper of it.
    """
    inner = getattr(dataset, 'datasets',
                    None) or [getattr(dataset, 'dataset', None)]
    for part in inner:
        if part is not None:
            yield from transforms_of(part)
    yield from _flat(getattr(dataset, 'pipeline', None))


def _flat(step: Any) -> Iterator[Any]:
    if isinstance(step, (list, tuple)):
        for part in step:
            yield from _flat(part)
    elif step is not None:
        yield step
        yield from _flat(getattr(step, 'transforms', None))


def _refuse_unless_unsaid(value: int, ignore_index: int, setting: str) -> None:
    if value != _UNSAID:
        raise UserError(
            f'{setting} is {value}, but model.decode_head.ignore_index is '
            f'{ignore_index}. Omit the former: it follows the latter.')
