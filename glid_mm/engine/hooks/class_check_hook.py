"""Head and data set have the same number of classes."""
from ...datasets.classes import require_names
from ...errors import UserError
from ...registry import HOOKS
from .data_check_hook import DataCheckHook


@HOOKS.register_module()
class ClassCheckHook(DataCheckHook):
    """Stop before the first batch if heads have other classes than the data.

    Heads say how many they have in ``num_classes``, data sets name theirs in
    ``metainfo['classes']``; a data set that names none is left alone. The same
    holds for ``num_things_classes`` and ``metainfo['thing_classes']``.
    """

    def check(self, model, dataset) -> None:
        """See :class:`DataCheckHook`."""
        classes = dataset.metainfo.get('classes')
        if not classes:
            return
        require_names(classes)
        source = getattr(dataset, 'ann_file', '') or getattr(
            dataset, 'data_root',
            type(dataset).__name__)
        for name, module in model.named_modules():
            count = getattr(module, 'num_classes', len(classes))
            # mmseg's whole model repeats what its head says.
            if name and count != len(classes):
                raise UserError(
                    f'{name}.num_classes is {count}, and the data set '
                    f'({source}) has {len(classes)} classes: '
                    f'{", ".join(classes)}. Set model.{name}.num_classes='
                    f'{len(classes)}, or metainfo=dict(classes=(...)) of the '
                    'data sets to the classes that the model has.')
            things = dataset.metainfo.get('thing_classes')
            count = getattr(module, 'num_things_classes', None)
            if name and things and count not in (None, len(things)):
                raise UserError(
                    f'{name}.num_things_classes is {count}, and the data set '
                    f'({source}) has {len(things)} things and '
                    f'{len(classes) - len(things)} classes of stuff: '
                    f'"isthing" of its categories says so. Set model.{name}.'
                    f'num_things_classes={len(things)} and num_stuff_classes='
                    f'{len(classes) - len(things)}.')
