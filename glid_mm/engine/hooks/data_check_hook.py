"""Check before a run that its model and data sets fit each other."""
from abc import ABCMeta, abstractmethod

from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from torch import nn

from ..wrappers import bare_model


class DataCheckHook(Hook, metaclass=ABCMeta):
    """Compare the model with its data before the first batch.

    Training also checks the validation data at the start.
    """

    @abstractmethod
    def check(self, model: nn.Module, dataset: BaseDataset) -> None:
        """Compare the model with a data set.

        Args:
            model: The model without a wrapper.
            dataset: Its data set.

        Raises:
            UserError: If they do not fit each other.
        """

    def before_train(self, runner) -> None:
        """Check the data of training and validation."""
        self._check(runner, runner.train_dataloader)
        if runner.val_loop is not None:
            self._check(runner, runner.val_dataloader)

    def before_val(self, runner) -> None:
        """Check the data of validation."""
        self._check(runner, runner.val_dataloader)

    def before_test(self, runner) -> None:
        """Check the data of testing."""
        self._check(runner, runner.test_dataloader)

    def _check(self, runner, dataloader) -> None:
        self.check(bare_model(runner.model), dataloader.dataset)
