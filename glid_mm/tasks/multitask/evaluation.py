"""Validate and test several tasks, each with its data and metrics."""
from collections.abc import Iterator, Mapping

from mmengine.evaluator import Evaluator
from mmengine.runner import TestLoop, ValLoop
from torch.utils.data import DataLoader

from ...errors import UserError
from ...registry import LOOPS
from .data import MultitaskDataset


class TaskLoaders:
    """Data loaders of tasks, chained into one.

    Args:
        loaders: Data loaders by task.
    """

    def __init__(self, loaders: Mapping[str, DataLoader]) -> None:
        self.loaders = dict(loaders)
        self.dataset = MultitaskDataset({
            name: loader.dataset
            for name, loader in self.loaders.items()
        })

    def __len__(self) -> int:
        return sum(map(len, self.loaders.values()))

    def __iter__(self) -> Iterator[dict[str, dict]]:
        for name, loader in self.loaders.items():
            for batch in loader:
                yield {name: batch}


class TaskEvaluator(Evaluator):
    """Evaluators of tasks; metrics are named ``<task>/<metric>``.

    Args:
        tasks: Evaluators by task.
        sizes: Number of samples of each task's data.
    """

    def __init__(self, tasks: Mapping[str, Evaluator],
                 sizes: Mapping[str, int]) -> None:
        # Metrics that tools add are for all tasks.
        super().__init__([])
        self.tasks = tasks
        self.sizes = sizes

    @property
    def dataset_meta(self) -> dict | None:
        """Meta information of the data sets, by task."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: Mapping[str, dict]) -> None:
        self._dataset_meta = dataset_meta
        for name, evaluator in self.tasks.items():
            evaluator.dataset_meta = dataset_meta[name]

    def process(self, data_samples: list, data_batch: dict[str, dict]) -> None:
        """Pass predictions on to the metrics of their task.

        Args:
            data_samples: Predictions with ground truth.
            data_batch: Their batch, by task.
        """
        super().process(data_samples, data_batch)
        (name, batch), = data_batch.items()
        self.tasks[name].process(data_samples, batch)

    def evaluate(self, size: int) -> dict[str, float]:
        """Metrics of all tasks.

        Args:
            size: Number of samples of all tasks.

        Returns:
            Values by ``<task>/<metric>``.
        """
        metrics = super().evaluate(size)
        for task, evaluator in self.tasks.items():
            for name, value in evaluator.evaluate(self.sizes[task]).items():
                metrics[f'{task}/{name}'] = value
        return metrics


@LOOPS.register_module()
class TaskValLoop(ValLoop):
    """mmengine's ``ValLoop`` over all tasks in turn.

    Args:
        runner (Runner): The run.
        dataloader: By task, the config of a data loader; tasks with None are
            skipped.
        evaluator: By task, the config of its metrics.
        **kwargs: See mmengine's ``ValLoop``.
    """

    def __init__(self, runner, dataloader: dict, evaluator: dict,
                 **kwargs) -> None:
        super().__init__(runner, *_build(runner, dataloader, evaluator),
                         **kwargs)


@LOOPS.register_module()
class TaskTestLoop(TestLoop):
    """mmengine's ``TestLoop`` over all tasks in turn.

    Args:
        runner, dataloader, evaluator, **kwargs: See :class:`TaskValLoop`.
    """

    def __init__(self, runner, dataloader: dict, evaluator: dict,
                 **kwargs) -> None:
        super().__init__(runner, *_build(runner, dataloader, evaluator),
                         **kwargs)


def _build(runner, loaders: dict,
           evaluators: dict) -> tuple[TaskLoaders, TaskEvaluator]:
    loaders = {name: config for name, config in loaders.items() if config}
    for name in loaders:
        if not evaluators.get(name):
            raise UserError(
                f'task {name!r} has evaluation data but no metrics: set '
                f'{name} of val_evaluator and test_evaluator, or {name}=None '
                'in val_dataloader and test_dataloader')
    built, metrics = {}, {}
    for name, config in loaders.items():
        built[name] = runner.build_dataloader(config, seed=runner.seed)
        metrics[name] = runner.build_evaluator(evaluators[name])
        # mmpose's metric reads the file of the data set that was built last.
        metrics[name].dataset_meta = built[name].dataset.metainfo
    sizes = {name: len(loader.dataset) for name, loader in built.items()}
    return TaskLoaders(built), TaskEvaluator(metrics, sizes)
