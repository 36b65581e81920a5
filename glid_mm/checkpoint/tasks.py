"""Convert weights between a mixture of tasks and a single task.

A mixture names the weights of a task ``tasks.<task>.*`` where its own model
has ``*``; encoder, neck, decoder and queries are ``backbone.*`` in both.
``tasks.<task>.backbone.rows`` are the indices of a task's queries.
"""
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from ..errors import ITSELF, CheckpointError

_TASKS = 'tasks.'
_ROWS = 'backbone.rows'
_TABLE = 'backbone.queries.embeddings'
# Cures for an ambiguous choice of a task.
_TAKE_OUT = ('Extract the one you want and load that: '
             f'tools/model_converters/take_task.py {ITSELF} TASK TASK.pth')
_SHARED = ('Load only the shared parts: model.backbone.init_cfg=dict(type='
           f"'glid_mm.Pretrained', checkpoint='{ITSELF}') and no load_from.")


class Task(NamedTuple):
    """The weights of one task.

    Attributes:
        prefix: Prefix of the names of its head's weights.
        head: These weights, without the prefix.
        rows: Indices of its queries.
    """

    prefix: str
    head: dict[str, Tensor]
    rows: slice


def tasks_of(weights: Mapping[str, Tensor]) -> dict[str, Task]:
    """The tasks of a mixture; empty for other weights."""
    tasks = {}
    for name, rows in weights.items():
        if name.startswith(_TASKS) and name.endswith('.' + _ROWS):
            prefix = name.removesuffix(_ROWS)
            head = {
                key.removeprefix(prefix): value
                for key, value in weights.items()
                if key.startswith(prefix) and key != name
            }
            tasks[prefix[len(_TASKS):-1]] = Task(prefix, head,
                                                 slice(*rows.tolist()))
    return tasks


def fit_tasks(own: Mapping[str, Tensor],
              given: OrderedDict) -> tuple[OrderedDict, list[str]]:
    """Fit weights if the model or the checkpoint is a mixture of tasks.

    Tasks of two mixtures match by name. A task of a mixture and a single task
    match if their heads have weights with the same names and, if several do,
    the same shapes.

    Args:
        own: The model's weights.
        given: The checkpoint's, with PyTorch's ``_metadata``.

    Returns:
        The checkpoint's weights by the model's names, and notes; unchanged if
        neither has tasks.

    Raises:
        CheckpointError: If several tasks of the mixture match.
    """
    theirs, ours = tasks_of(given), tasks_of(own)
    if not theirs and not ours:
        return given, []
    if theirs and ours:
        pairs = [(theirs[name], task) for name, task in ours.items()
                 if name in theirs]
    elif theirs:
        alone = _alone(own)
        pairs = [(task, alone) for task in _matching(alone, theirs, _TAKE_OUT)]
    else:
        alone = _alone(given)
        pairs = [(alone, task) for task in _matching(alone, ours, _SHARED)]
    weights = OrderedDict((name, value) for name, value in given.items()
                          if name.startswith('backbone.') and name != _TABLE)
    # ``_metadata`` holds the versions of modules by name.
    weights._metadata = dict(given._metadata)
    for its, mine in pairs:
        for name, value in its.head.items():
            weights[mine.prefix + name] = value
        for name, value in given._metadata.items():
            if name.startswith(its.prefix):
                name = mine.prefix + name.removeprefix(its.prefix)
                weights._metadata[name] = value
    for task in ours.values():
        name = task.prefix + _ROWS
        weights[name] = own[name]
    table = _fit_table(own, given, pairs)
    if table is not None:
        weights[_TABLE] = table
    loaded = {its.prefix for its, _ in pairs}
    left = [name for name, its in theirs.items() if its.prefix not in loaded]
    notes = [
        'tasks of the checkpoint that are not loaded: '
        f'{", ".join(left)}'
    ] if left else []
    return weights, notes


def take_task(checkpoint: dict, task: str) -> dict:
    """Extract one task of a mixture's checkpoint.

    Args:
        checkpoint: See :func:`read_checkpoint`.
        task: Name of the task in the mixture.

    Returns:
        ``state_dict`` and ``meta``.

    Raises:
        CheckpointError: If it is not of a mixture, or the mixture lacks the
            task.
    """
    weights = checkpoint.get('state_dict', checkpoint)
    tasks = tasks_of(weights)
    if task not in tasks:
        raise CheckpointError(f'it has no task {task!r}: it ' + (
            f'is a mixture of {", ".join(tasks)}. Name one of these, or give '
            f'a checkpoint of a mixture with {task}.'
            if tasks else 'is not from a mixture. Omit the task.'))
    own = tasks[task]
    alone = {
        name: value
        for name, value in weights.items() if name.startswith('backbone.')
    }
    alone[_TABLE] = weights[_TABLE][own.rows].clone()
    meta = dict(checkpoint.get('meta') or {})
    # These describe the mixture; published weights have all but the first.
    for name in ('cfg', 'config', 'tasks', 'data', 'schedule'):
        meta.pop(name, None)
    if task in (meta.get('dataset_meta') or {}):
        meta['dataset_meta'] = meta['dataset_meta'][task]
    return dict(meta=meta, state_dict={**alone, **own.head})


def without_tasks(checkpoint: dict) -> dict:
    """Remove the queries of tasks from a mixture's checkpoint."""
    weights = checkpoint.get('state_dict', checkpoint)
    if not tasks_of(weights):
        return checkpoint
    weights = {k: v for k, v in weights.items() if k != _TABLE}
    return dict(meta=checkpoint.get('meta') or {}, state_dict=weights)


def _alone(weights: Mapping[str, Tensor]) -> Task:
    head = {
        name: value
        for name, value in weights.items() if not name.startswith('backbone.')
    }
    return Task('', head, slice(0, len(weights.get(_TABLE, ()))))


def _matching(alone: Task, tasks: dict[str, Task], cure: str) -> list[Task]:
    """The task of a mixture that matches a single task, if any."""
    found = [n for n, t in tasks.items() if t.head.keys() == alone.head.keys()]
    if len(found) > 1:
        shapes = _shapes(alone)
        found = [name for name in found if _shapes(tasks[name]) == shapes]
    if len(found) > 1:
        raise CheckpointError(
            f'tasks {", ".join(found)} of the mixture have the same head, so '
            f'the choice is ambiguous. {cure}')
    return [tasks[name] for name in found]


def _shapes(task: Task) -> dict:
    return {name: value.shape for name, value in task.head.items()}


def _fit_table(own: Mapping[str, Tensor], given: Mapping[str, Tensor],
               pairs: list[tuple[Task, Task]]) -> Tensor | None:
    """Fill the model's queries with those of the checkpoint's tasks.

    Tasks with a different number of queries start untrained, like a single
    task.
    """
    if _TABLE not in own or _TABLE not in given:
        return None
    table, found = own[_TABLE].clone(), False
    for theirs, mine in pairs:
        rows = given[_TABLE][theirs.rows]
        if rows.shape == table[mine.rows].shape:
            table[mine.rows] = rows.to(table)
            found = True
    return table if found else None
