"""Count operators and host synchronisations of a training step.

It counts the operators that the dispatcher gets below autograd in a forward
and a backward pass on the CPU, without views. That is about the number of
kernels that a GPU would launch, and it does not depend on the machine. Cheap
activations are not recomputed, as on GPUs, and planning during the previous
step is counted separately.
"""
import argparse
import importlib
from collections import Counter

import torch
from rich.console import Console
from rich.table import Table
from torch.utils._python_dispatch import TorchDispatchMode

from glid_mm.engine import launch
from glid_mm.models.layers.basics import Recomputing

#: Operators that wait until the device has computed a value.
WAITING = {
    '_local_scalar_dense', 'nonzero', 'equal', 'unique_consecutive',
    '_unique2', 'masked_select', 'is_nonzero'
}
#: Operators that compute nothing.
VIEWS = {
    'view', 'reshape', 'permute', 'transpose', 'expand', 'select', 'slice',
    'unsqueeze', 'squeeze', 't', 'as_strided', 'detach', 'alias',
    '_unsafe_view', 'split', 'split_with_sizes', 'unbind', 'unfold', 'chunk',
    'diagonal', 'lift_fresh', 'empty', 'empty_like', 'new_empty',
    'empty_strided', 'new_empty_strided'
}
# Task -> models, and the size of the batch.
TASKS = dict(
    pretraining=(['simmim', 'glid'], 8),
    pose=(['vitpose-b', 'swin-b', 'glid-swin-b'], 2),
    segmentation=(['mask2former', 'glid', 'xnet'], 1),
    depth=(['glid-swin-b', 'xnet-convnext-b'], 1),
    detection=(['glid'], 1))


class Count(TorchDispatchMode):
    """Count the operators called within the context."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls[function._schema.name.split('::')[1]] += 1
        return function(*args, **(kwargs or {}))

    def total(self, names=None):
        if names is None:
            names = self.calls.keys() - VIEWS
        return sum(self.calls[name] for name in names)


def count(task, name, batch_size):
    """Count operators of planning and of the step, and synchronisations."""
    kind = importlib.import_module(f'benchmark_{task}').Training
    step = kind(
        name,
        argparse.Namespace(
            threads=torch.get_num_threads(),
            device='cpu',
            amp='none',
            batch_size=batch_size,
            plan_ahead=True))
    for module in step.model.modules():
        if isinstance(module, Recomputing):
            module.recompute = False
    step()  # create all cached tensors now
    with Count() as planning:
        step.plan()
    with Count() as forward:
        loss = step.forward()
    with Count() as backward:
        loss.backward()
    return dict(
        planning=planning.total(),
        forward=forward.total(),
        backward=backward.total(),
        step=forward.total() + backward.total(),
        waits=forward.total(WAITING) + backward.total(WAITING))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'tasks',
        nargs='*',
        default=list(TASKS),
        metavar='TASK',
        help=f'some of {", ".join(TASKS)}; by default all')
    args = parser.parse_args()
    unknown = set(args.tasks) - set(TASKS)
    if unknown:
        parser.error(f'no task {", ".join(sorted(unknown))}; choose from '
                     f'{", ".join(TASKS)}')
    table = Table(title='operators of a training step')
    for column in ('task', 'model', 'planning', 'forward', 'backward', 'step',
                   'synchronisations'):
        table.add_column(column, justify='right')
    for task in args.tasks:
        names, batch_size = TASKS[task]
        for name in names:
            figures = count(task, name, batch_size)
            table.add_row(task, name, *map(str, figures.values()))
    Console().print(table)


if __name__ == '__main__':
    launch.main(main)
