"""Head and data set have the same number of classes."""
from mmengine.hooks import Hook

from ...errors import UserError
from ...registry import HOOKS


@HOOKS.register_module()
class ClassCheckHook(Hook):
    """Stop before the first batch if heads have other classes than the data.

    Heads say how many they have in ``num_classes``, data sets name theirs in
    ``metainfo['classes']``. Training checks the data of validation as well,
    which it would otherwise reach only later.
    """

    def before_train(self, runner) -> None:
        """Check the data of training and validation."""
        _check(runner.model, runner.train_dataloader.dataset)
        if runner.val_loop is not None:
            _check(runner.model, runner.val_dataloader.dataset)

    def before_val(self, runner) -> None:
        """Check the data of validation."""
        _check(runner.model, runner.val_dataloader.dataset)

    def before_test(self, runner) -> None:
        """Check the data of testing."""
        _check(runner.model, runner.test_dataloader.dataset)


def _check(model, dataset) -> None:
    """Compare.

    Raises:
        UserError: If they differ.
    """
    classes = dataset.metainfo['classes']
    for name, module in model.named_modules():
        count = getattr(module, 'num_classes', len(classes))
        if count != len(classes):
            raise UserError(
                f'{name}.num_classes is {count}, and the data set '
                f'({dataset.ann_file}) has {len(classes)} classes: '
                f'{", ".join(classes)}. Set model.{name}.num_classes='
                f'{len(classes)}, or metainfo=dict(classes=(...)) of the data '
                'sets to the classes that the model has.')
