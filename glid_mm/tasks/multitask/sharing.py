"""Queries of several tasks in one GLID."""
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from ...errors import UserError
from ...models import GLID, Features, GLIDOutput, Queries
from ...registry import MODELS

#: Settings of a task's ``backbone`` for its queries.
SETTINGS = ('num_queries', 'embedding_std', 'embedding_positions')


@MODELS.register_module()
class SharedGLID(nn.Module):
    """One task's part of a shared GLID, used as ``backbone`` of its model.

    The weights belong to the mixture, not to a task's model. The task's model
    stores ``rows`` in checkpoints, the indices of its queries.

    Args:
        glid: The shared GLID.
        rows: The task's queries in the table of all queries.
    """

    def __init__(self, glid: GLID, rows: range) -> None:
        super().__init__()
        # A tuple keeps it from being a submodule.
        self._shared = (glid, )
        self._rows = rows
        self.queries = SimpleNamespace(num_queries=len(rows))
        self.register_buffer('rows', torch.tensor([rows.start, rows.stop]))

    @property
    def glid(self) -> GLID:
        """The shared GLID, which is not a submodule."""
        return self._shared[0]

    def forward(self,
                images: Tensor,
                padding_mask: Tensor | None = None,
                *groups: slice) -> GLIDOutput:
        """Decode the task's queries; see :class:`glid_mm.models.GLID`.

        Args:
            images: ``(B, 3, H, W)``, standardised.
            padding_mask: ``(B, H, W)`` bool, True at padding.
            *groups: Groups of the task's queries; by default a single group.

        Returns:
            Inputs of the head.
        """
        return self.glid(images, padding_mask, *self._own(groups))

    def features(self, images: Tensor,
                 padding_mask: Tensor | None) -> Features:
        """See :meth:`glid_mm.models.GLID.features`."""
        return self.glid.features(images, padding_mask)

    def answers(self,
                x: Features,
                *groups: slice,
                focus: Callable | None = None) -> GLIDOutput:
        """Decode the task's queries; see ``glid_mm.models.GLID.answers``."""
        return self.glid.answers(x, *self._own(groups), focus=focus)

    def _own(self, groups: Sequence[slice]) -> Sequence[slice]:
        """Groups of the task's queries, as indices into the whole table."""
        own = [self._rows[group] for group in groups] or [self._rows]
        return [slice(rows.start, rows.stop) for rows in own]

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        # A model's rows follow from its config.
        if prefix + 'rows' in state_dict:
            state_dict[prefix + 'rows'] = self.rows
        super()._load_from_state_dict(state_dict, prefix, *args)


class QueryTables:
    """The queries of tasks: prefixes of shared tables.

    Args:
        tasks: By task, the :data:`SETTINGS` of its ``backbone``.
        tables: The tasks of each table; by default all share one, as in the
            paper (§4, "Multitask fine-tuning").

    Attributes:
        rows (dict[str, range]): The queries of each task.
        num_queries (int): Number of queries of all tables.

    Raises:
        UserError: If tables and tasks do not agree, or tasks that share
            queries initialize them differently.
    """

    def __init__(self,
                 tasks: Mapping[str, dict],
                 tables: Sequence[Sequence[str]] | None = None) -> None:
        tables = [list(tasks)] if tables is None else tables
        named = [task for table in tables for task in table]
        unknown = [task for task in named if task not in tasks]
        if unknown:
            raise UserError(
                f'model.tables names {unknown[0]!r}, but model.tasks has '
                f'{", ".join(tasks)}. Name tasks of the model.')
        for task in tasks:
            if named.count(task) != 1:
                raise UserError(
                    f'task {task!r} is in {named.count(task)} of '
                    'model.tables, but each task reads one. Name every task '
                    'once, or omit tables to share all queries.')
        self.rows: dict[str, range] = {}
        self._starts = []
        self.num_queries = 0
        for table in tables:
            self._add([(task, dict(tasks[task])) for task in table])

    def _add(self, table: list) -> None:
        first, total = self.num_queries, self.num_queries
        starts = {}
        for task, settings in table:
            count = settings.pop('num_queries', 0)
            if count < 1:
                raise UserError(
                    f'task {task!r} has no queries: set model.tasks.{task}.'
                    'backbone.num_queries to the number of its queries')
            self.rows[task] = range(first, first + count)
            total = max(total, first + count)
            wanted = {name: settings.get(name) or 0 for name in SETTINGS[1:]}
            starts.setdefault(str(wanted), (task, wanted))
        if len(starts) > 1:
            (one, its), (other, their) = list(starts.values())[:2]
            raise UserError(
                f'tasks {one!r} and {other!r} share queries but initialize '
                f'them as {its} and as {their}. Set the same embedding_std '
                f'and embedding_positions in model.tasks.{one}.backbone and '
                f'model.tasks.{other}.backbone, or separate the tasks with '
                f"model.tables=[['{one}', …], ['{other}', …]].")
        for _, wanted in starts.values():
            self._starts.append((first, total, wanted))
        self.num_queries = total

    def start(self, queries: Queries) -> None:
        """Initialize queries as the tasks require.

        Args:
            queries: The queries, :attr:`num_queries` of them.
        """
        dims = queries.embeddings.shape[1]
        for first, stop, wanted in self._starts:
            own = Queries(dims, stop - first, **wanted)
            queries.embeddings.data[first:stop] = own.embeddings.data
