"""One model for several tasks, which share everything except heads."""
from collections.abc import Mapping, Sequence

from mmengine.config import ConfigDict
from mmengine.model import BaseDataPreprocessor, BaseModel, ModuleDict
from torch import Tensor, nn

from ...errors import UserError
from ...registry import MODELS
from .sharing import SETTINGS, QueryTables

#: A batch of a mixture: by task, a batch in the form of its host.
Batches = Mapping[str, dict]


class TaskPreprocessors(BaseDataPreprocessor):
    """The data preprocessors of tasks, each for its own batch.

    Args:
        tasks: The tasks' models.
    """

    def __init__(self, tasks: Mapping[str, BaseModel]) -> None:
        super().__init__()
        # These belong to the models, which register their parameters.
        self._each = {name: (m.data_preprocessor, )
                      for name, m in tasks.items()}  # yapf: disable

    def forward(self, data: Batches, training: bool = False) -> dict:
        """Prepare the batches of all tasks in the data.

        Args:
            data: Batches by task.
            training: See ``BaseDataPreprocessor``.

        Returns:
            The batches, on the device.

        Raises:
            UserError: If the model has no such task.
        """
        for name in data:
            if name not in self._each:
                raise UserError(
                    f'a batch has task {name!r}, but the model has '
                    f'{", ".join(self._each)}. The tasks of the data '
                    '(dataset.tasks, val_dataloader, test_dataloader) must '
                    'have the names of model.tasks.')
        return {
            name: self._each[name][0](batch, training)
            for name, batch in data.items()
        }


@MODELS.register_module()
class MultitaskGLID(BaseModel):
    """Models of tasks that share encoder, neck, decoder and queries.

    Each task has its host's model from the task's own config, with head, loss
    and data preprocessor; its ``backbone`` is its part of the shared GLID.
    Batches come by task. The losses of all tasks in a batch are summed; each
    is a mean over that task's images.

    Weights are named ``backbone.*``, as in any single task, and
    ``tasks.<task>.*``. ``model.tasks['semantic']`` is a complete model of that
    task.

    Args:
        backbone: ``glid_mm.GLID`` without ``num_queries``.
        tasks: The tasks' models by name; names are free. Only ``num_queries``,
            ``embedding_std`` and ``embedding_positions`` of their ``backbone``
            are used.
        tables: Tasks that share queries; see :class:`QueryTables`. By default
            all share one table, and each reads its first ``num_queries``
            queries.
        loss_weights: Factors of the tasks' losses, 1 by default.
        init_cfg: See ``BaseModel``.

    Raises:
        UserError: If a task has an invalid name, queries cannot be shared as
            configured, or a head does not fit the shared parts.
    """

    def __init__(self,
                 backbone: dict,
                 tasks: dict[str, dict],
                 tables: Sequence[Sequence[str]] | None = None,
                 loss_weights: dict[str, float] | None = None,
                 init_cfg: dict | None = None) -> None:
        for name in tasks:
            # Losses to be summed are selected by their names.
            if (not name.isidentifier() or hasattr(nn.ModuleDict, name)
                    or name == 'mode' or 'loss' in name):
                raise UserError(
                    f'{name!r} cannot be the name of a task (model.tasks): '
                    'use letters, digits and underscores, without "loss", '
                    "such as 'semantic'")
        for name in loss_weights or ():
            if name not in tasks:
                raise UserError(
                    f'model.loss_weights names {name!r}, but model.tasks has '
                    f'{", ".join(tasks)}. Name tasks of the model.')
        if backbone.get('cuda_graph'):
            raise UserError(
                'model.backbone.cuda_graph supports one pass per step, but a '
                'multitask model has one per task. Omit --cuda-graph.')
        shared = QueryTables(
            {
                name: {
                    key: value
                    for key, value in config.get('backbone', {}).items()
                    if key in SETTINGS
                }
                for name, config in tasks.items()
            }, tables)
        glid = MODELS.build(dict(backbone, num_queries=shared.num_queries))
        shared.start(glid.queries)
        models = {}
        for name, config in tasks.items():
            part = dict(
                type='glid_mm.SharedGLID', glid=glid, rows=shared.rows[name])
            try:
                models[name] = MODELS.build(ConfigDict(config, backbone=part))
            except UserError as error:
                raise UserError(f'task {name!r}: {error}') from error
        super().__init__(TaskPreprocessors(models), init_cfg)
        self.backbone = glid
        self.tasks = ModuleDict(models)
        self.loss_weights = dict(loss_weights or {})

    def forward(self, mode: str = 'tensor', **batches: dict):
        """Losses or predictions of batches.

        Args:
            mode: ``'loss'``, ``'predict'`` or ``'tensor'``.
            **batches: By task, arguments of its model's ``forward``.

        Returns:
            dict[str, Tensor] | list | dict: Losses by ``<task>/<name of the
            loss>``; data samples, task by task; or by task, its model's
            output.
        """
        results = {
            name: model(**batches[name], mode=mode)
            for name, model in self.tasks.items() if name in batches
        }
        if mode == 'predict':
            return [sample for part in results.values() for sample in part]
        if mode != 'loss':
            return results
        return {
            f'{task}/{name}': self._weighted(task, name, value)
            for task, losses in results.items()
            for name, value in losses.items()
        }

    def _weighted(self, task: str, name: str, value):
        weight = self.loss_weights.get(task, 1)
        if weight == 1 or 'loss' not in name:
            return value
        if isinstance(value, Tensor):
            return weight * value
        return [weight * part for part in value]
