"""Check before a run that every task fits its data."""
from types import SimpleNamespace

from mmengine.hooks import Hook

from ...engine.wrappers import bare_model
from ...errors import UserError
from ...registry import HOOKS


@HOOKS.register_module()
class TaskCheckHook(Hook):
    """Compare each task with its data, as the hooks of the single tasks do.

    Args:
        tasks: By task, hooks of type
            :class:`~glid_mm.engine.hooks.data_check_hook.DataCheckHook`.
    """

    def __init__(self, tasks: dict[str, list[dict]]) -> None:
        self.hooks = [(task, HOOKS.build(config))
                      for task, configs in tasks.items() for config in configs]

    def before_train(self, runner) -> None:
        """Check the data of training and validation.

        Raises:
            UserError: If model and data have different tasks, or a hook
                reports an error.
        """
        tasks = bare_model(runner.model).tasks
        data = runner.train_dataloader.dataset.tasks
        for name in tasks:
            if name not in data:
                raise UserError(
                    f'task {name!r} of the model has no training data: the '
                    f'data has {", ".join(data)}. Add it to '
                    'train_dataloader.dataset.tasks, or remove it from '
                    'model.tasks.')
        self._call('before_train', runner)

    def before_val(self, runner) -> None:
        """Check the data of validation."""
        self._call('before_val', runner)

    def before_test(self, runner) -> None:
        """Check the data of testing."""
        self._call('before_test', runner)

    def _call(self, event: str, runner) -> None:
        loader = getattr(runner,
                         event.replace('before', '')[1:] + '_dataloader')
        for task, hook in self.hooks:
            if task in loader.dataset.tasks:
                getattr(hook, event)(_TaskRunner(runner, task))


class _TaskRunner:
    """The runner as a hook would see it if the task were trained alone."""

    def __init__(self, runner, task: str) -> None:
        self._runner = runner
        self._task = task
        self.model = bare_model(runner.model).tasks[task]

    def __getattr__(self, name: str):
        value = getattr(self._runner, name)
        if name == 'val_loop':
            has = value is not None and self._task in value.dataloader.loaders
            return value if has else None
        if name.endswith('_dataloader'):
            return SimpleNamespace(dataset=value.dataset.tasks[self._task])
        if name.endswith('_evaluator'):
            return value.tasks[self._task]
        return value
