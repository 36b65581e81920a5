"""Check before a run that label maps fit the classes of the model."""
import logging
from collections import Counter

import numpy as np
from mmengine.logging import print_log

from ...engine.hooks.data_check_hook import DataCheckHook
from ...engine.wrappers import bare_model
from ...errors import UserError
from ...registry import HOOKS
from .ignored import follow, transforms_of
from .labels import no_class
from .loading import LoadSemanticMap


def _values(labels: np.ndarray) -> np.ndarray:
    """The sorted distinct values of an array."""
    if labels.dtype.kind == 'u':
        # Counting is ten times as fast as sorting.
        return np.flatnonzero(np.bincount(labels.ravel()))
    return np.unique(labels)


@HOOKS.register_module()
class LabelCheckHook(DataCheckHook):
    """Check label maps of training and validation before the first batch.

    A label that is neither a class nor ignored stops the run. A class without
    pixels gets one warning if other pixels are ignored, because its label may
    be the ignored one. The warning needs enough maps: all of them, or ten for
    each class.

    Only maps loaded by :class:`LoadSemanticMap` are checked. Afterwards, all
    other parts follow the head's ``ignore_index``; see
    :func:`~glid_mm.tasks.segmentation.ignored.follow`.

    Args:
        num_maps: Largest number of maps to read per data set, evenly spread
            over it; 0 reads none.
    """

    def __init__(self, num_maps: int = 200) -> None:
        self.num_maps = num_maps
        self._warned = False

    def before_train(self, runner) -> None:
        """Check the data of training and validation."""
        self._agree(runner, 'train_dataloader')
        if runner.val_loop is not None:
            self.before_val(runner)
        super().before_train(runner)

    def before_val(self, runner) -> None:
        """Do nothing, because training has already checked this data."""
        self._agree(runner, 'val_dataloader')
        self._agree_metrics(runner, 'val_evaluator')

    def before_test(self, runner) -> None:
        """Check the data of testing."""
        self._agree(runner, 'test_dataloader')
        self._agree_metrics(runner, 'test_evaluator')
        super().before_test(runner)

    def _agree(self, runner, loader: str) -> None:
        model = bare_model(runner.model)
        follow(model.data_preprocessor, model.decode_head.ignore_index,
               'model.data_preprocessor')
        for step in transforms_of(getattr(runner, loader).dataset):
            follow(step, model.decode_head.ignore_index,
                   f'{type(step).__name__} of {loader}.dataset.pipeline')

    def _agree_metrics(self, runner, evaluator: str) -> None:
        ignored = bare_model(runner.model).decode_head.ignore_index
        for metric in getattr(runner, evaluator).metrics:
            follow(metric, ignored, f'{type(metric).__name__} of {evaluator}')

    def check(self, model, dataset) -> None:
        """See :class:`DataCheckHook`."""
        steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
        loading = [s for s in steps if isinstance(s, LoadSemanticMap)]
        classes = dataset.metainfo.get('classes')
        if not loading or not classes:
            return
        loading, head = loading[0], model.decode_head
        count = min(self.num_maps, len(dataset))
        shown, unlabelled = set(), Counter()
        for i in range(count):
            info = dataset.get_data_info(i * len(dataset) // count)
            if 'seg_map_path' not in info:
                return
            reduce = info.get('reduce_zero_label')
            changed = reduce or info.get('label_map')
            if changed and 0 <= head.ignore_index < head.num_classes:
                raise UserError(
                    f'model.decode_head.ignore_index={head.ignore_index} is '
                    'also the number of a class after '
                    f'{"reduce_zero_label" if reduce else "metainfo.classes"}'
                    ' of the data set renumbers the classes. Set it to '
                    '255.')
            values = _values(loading.read(info['seg_map_path']))
            labels = loading.relabel(values, info).astype(np.int64)
            inside = (labels >= 0) & (labels < head.num_classes)
            wrong = labels[~inside & (labels != head.ignore_index)]
            if len(wrong):
                raise no_class(wrong, info, head.num_classes,
                               head.ignore_index)
            shown.update(labels[labels != head.ignore_index].tolist())
            # Except labels that the data set's classes omit on purpose.
            unlabelled.update(
                value for value in values.tolist()
                if value == head.ignore_index or reduce and value == 0)
        missing = [
            f'{i} {name!r}' for i, name in enumerate(classes)
            if i not in shown and i != head.ignore_index
        ]
        enough = count == len(dataset) or count >= 10 * len(classes)
        if self._warned or not (missing and unlabelled and enough):
            return
        self._warned = True
        value, times = unlabelled.most_common(1)[0]
        names = ', '.join(missing[:5])
        if len(missing) > 5:
            names += f' and {len(missing) - 5} others'
        if value == head.ignore_index:
            cure = ('rewrite the label maps with class numbers, '
                    'such as 0 and 1 in place of 0 and 255')
        else:
            cure = 'set reduce_zero_label=False of the data sets'
        print_log(
            f'no pixel of class {names} is in the {count} label maps of '
            f'{len(dataset)} that were checked (the last is '
            f'{info["seg_map_path"]}), while {value}, which is ignored, is '
            f'in {times} of them. If {value} means a class, {cure}.',
            logger='current',
            level=logging.WARNING)
