"""Find the settings that the classes named in a config accept."""
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any

import torch
from mmengine import registry as registries
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import (EpochBasedTrainLoop, IterBasedTrainLoop,
                             LogProcessor, TestLoop, ValLoop)
from mmengine.utils.dl_utils import set_multi_processing
from mmengine.visualization import Visualizer
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.data import DataLoader

from .runner import Runner

# Keys that mmengine reads besides the arguments of its classes.
_RUNNER = {
    'activation_checkpointing', 'compile', 'efficient_conv_bn_eval',
    'find_unused_parameters', 'model_wrapper_cfg', 'runner_type', 'sync_bn'
}
_LOADER = {'dataset', 'num_batch_per_epoch'}
_WRAPPER = {'constructor', 'paramwise_cfg'}
_REGISTRY = {
    'hook': {'priority'},
    'parameter scheduler': {'convert_to_iter_based', 'epoch_length'},
}
# Groups without a type: what takes them, or names.
_GROUPS = {
    'train_cfg': (EpochBasedTrainLoop, IterBasedTrainLoop, {'by_epoch'}),
    'val_cfg': (ValLoop, ),
    'test_cfg': (TestLoop, ),
    'train_dataloader': (DataLoader, _LOADER),
    'val_dataloader': (DataLoader, _LOADER),
    'test_dataloader': (DataLoader, _LOADER),
    'optim_wrapper': (OptimWrapper, _WRAPPER),
    'optim_wrapper.clip_grad': (clip_grad_norm_, clip_grad_value_),
    'randomness': (Runner.set_randomness, ),
    'env_cfg': ({'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'}, ),
    'env_cfg.mp_cfg': (set_multi_processing, ),
    'auto_scale_lr': ({'enable', 'base_batch_size'}, ),
    'log_processor': (LogProcessor, ),
    'visualizer': (Visualizer, ),
    'compile': (torch.compile, {'target'}),
}
# Plain values hold no settings.
for _name in ('default_scope', 'experiment_name', 'launcher', 'load_from',
              'log_level', 'resume', 'work_dir'):
    _GROUPS[_name] = (set(), )


def accepted_names(config: Config, path: Sequence[str]) -> set[str] | None:
    """Names of the settings that are read in a group of a config.

    Args:
        config: Config of any task.
        path: Path of the group; the config itself if empty.

    Returns:
        None if any name may be read.
    """
    if not path:
        return _of_runner(config)
    group = group_at(config, path)
    if not isinstance(group, Mapping):
        return None
    if tuple(path) == ('default_hooks', ):
        # A new group must have a type.
        return {
            name
            for name, hook in group.items()
            if not isinstance(hook, Mapping) or 'type' in hook
        }
    scope = config.get('default_scope')
    if 'type' in group:
        extras = _WRAPPER if tuple(path) == ('optim_wrapper', ) else set()
        return _union(_Type(group, scope).takes(), (extras, ))
    parent = group_at(config, path[:-1])
    if isinstance(parent, Mapping) and 'type' in parent:
        for target in _Type(parent, scope).targets:
            part = getattr(target, 'PARTS', {}).get(path[-1])
            if part is not None:
                return _parameters(part)
    takers = _GROUPS.get('.'.join(path))
    return None if takers is None else _union(takers)


def group_at(config: Config, path: Sequence[str]) -> Any:
    """The value at a path of a config; None if it does not exist."""
    node = config._cfg_dict
    for part in path:
        if isinstance(node, Mapping):
            node = node.get(part)
            continue
        listed = isinstance(node, (list, tuple)) and part.isdigit()
        if not listed or int(part) >= len(node):
            return None
        node = node[int(part)]
    return node


def _of_runner(config: Config) -> set[str]:
    names = _RUNNER | _parameters(Runner) - {'cfg'}
    if 'data_preprocessor' in (config.get('model') or {}):
        # In that case the runner does not use its own.
        names.discard('data_preprocessor')
    return names


class _Type:
    """The classes or functions that a group's ``type`` names.

    Attributes:
        targets (list[callable]): Usually one; a name may be in several
            registries. Empty if the name is unknown.
    """

    def __init__(self, group: Mapping, scope: str | None) -> None:
        self.targets, self._extras = [], set()
        type_, scope = group['type'], group.get('_scope_', scope)
        if not isinstance(type_, str):
            self.targets = [type_] if callable(type_) else []
            return
        for registry, found in _registered(type_, scope):
            self.targets.append(found)
            self._extras |= _REGISTRY.get(registry, set())

    def takes(self) -> Sequence:
        """Accepted names, as input of :func:`_union`."""
        return [*(self.targets or [None]), self._extras]


@lru_cache(maxsize=None)
def _registered(name: str, scope: str | None) -> Sequence[tuple]:
    """mmengine's registries that contain a name, and the entries."""
    found = []
    if scope:
        try:
            import_module(f'{scope}.registry')
        except ImportError:
            pass
    for root in vars(registries).values():
        if isinstance(root, registries.Registry):
            child = scope and root._search_child(scope) or root
            target = child.get(name)
            if target is not None:
                found.append((root.name, target))
    return found


def _union(takers: Sequence, more: Sequence = ()) -> set[str] | None:
    """Union of the names that callables and sets accept; None if any name."""
    names: set[str] = set()
    for taker in (*takers, *more):
        found = taker if isinstance(taker,
                                    set) else taker and _parameters(taker)
        if found is None:
            return None
        names |= found
    return names


def _parameters(target: Callable) -> set[str] | None:
    """Names of arguments, including those that are passed on to a base."""
    functions = [target]
    if inspect.isclass(target):
        functions = [
            vars(cls)['__init__'] for cls in target.__mro__
            if '__init__' in vars(cls)
        ]
    names: set[str] = set()
    for function in functions:
        passes_on = False
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                passes_on = True
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                names.add(name)
        if not passes_on:
            return names - {'self'}
    return None
