"""Check that head and data set have the same number of classes."""
from ...datasets.classes import require_names
from ...errors import UserError
from ...registry import HOOKS
from .data_check_hook import DataCheckHook


@HOOKS.register_module()
class ClassCheckHook(DataCheckHook):
    """Stop before the first batch if the classes of heads and data differ.

    Heads have ``num_classes``, or ``num_things_classes`` and
    ``num_stuff_classes``. Data sets name their classes in
    ``metainfo['classes']``, of which ``metainfo['thing_classes']`` are things,
    by default all; a data set without names is not checked.
    """

    def check(self, model, dataset) -> None:
        """See :class:`DataCheckHook`."""
        classes = dataset.metainfo.get('classes')
        if not classes:
            return
        require_names(classes)
        things = len(dataset.metainfo.get('thing_classes', classes))
        kinds = dict(
            num_things_classes=things, num_stuff_classes=len(classes) - things)
        source = getattr(dataset, 'ann_file', '') or getattr(
            dataset, 'data_root',
            type(dataset).__name__)
        for name, module in model.named_modules():
            expected = kinds if hasattr(module, 'num_things_classes') else {
                'num_classes': len(classes)
            }
            found = {key: getattr(module, key, None) for key in expected}
            # mmseg's and mmdet's models repeat the class numbers of their
            # heads.
            if not name or found in (expected, {'num_classes': None}):
                continue
            # Proposals of mmdet's two-stage models have a single class.
            if 'rpn_head' in name.split('.'):
                continue
            counts, settings = (' and '.join(
                text.format(name, *pair) for pair in numbers.items())
                                for text, numbers in (('{0}.{1} is {2}',
                                                       found),
                                                      ('model.{0}.{1}={2}',
                                                       expected)))
            kind = ''
            if expected is kinds and things < len(classes):
                kind = (f' ("isthing" in the annotations marks {things} as '
                        f'things and {len(classes) - things} as stuff)')
            raise UserError(
                f'{counts}, but the data set ({source}) has {len(classes)} '
                f'classes{kind}: {", ".join(classes)}. Set {settings}, or set '
                "metainfo=dict(classes=(...)) of the data sets to the model's "
                'classes.')
