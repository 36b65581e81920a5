"""Find a model's weights among other saved data."""
import logging
from collections.abc import Mapping
from pathlib import Path

import torch

from ..errors import CheckpointError

logger = logging.getLogger('glid_mm')

# Names for a model's weights and for their moving average, which is
# preferred. Teacher and student are distinguished where a Swin is
# recognised.
_WEIGHTS = ('state_dict', 'model', 'model_state_dict', 'module', 'net',
            'network', 'weights', 'params')
_AVERAGES = ('state_dict_ema', 'model_ema', 'ema', 'params_ema')
# mmengine's EMAHook saves the average as state_dict, and the other here.
_SWAPPED = 'ema_state_dict'
_KEPT = (_SWAPPED, 'teacher', 'student', 'optimizer', 'message_hub', 'meta',
         'param_schedulers')
# Counters that averages store beside weights.
_COUNTERS = ('steps', 'n_averaged')


def plain_weights(path: Path, content: dict) -> dict:
    """Put a model's weights under ``state_dict``, with the model's names.

    Programs store weights under various names, nested, and with a moving
    average (EMA) beside them.

    Raises:
        CheckpointError: If there are several dictionaries of weights with
            ambiguous names.
    """
    found = _find_weights(content)
    if not found:
        # A training checkpoint of mmengine also has other parts.
        others = [
            key for key, value in content.items()
            if _holds_tensors(value) and key not in _KEPT
        ]
        if len(others) > 1:
            raise CheckpointError(
                f'{path} holds weights under {", ".join(others)}, but the '
                f'supported names are {", ".join(_WEIGHTS)}. Save the ones '
                f"you want: torch.save(torch.load('{path}')['{others[0]}'], "
                "'one.pth')")
        found = others
        if not found:
            return content
    weights = content
    for key in found:
        beside = [
            k for k in (*_AVERAGES, *_WEIGHTS)
            if k in weights and k != key and _find_weights({k: weights[k]})
        ]
        if beside:
            logger.warning(
                '%s: loading %s%s and ignoring %s', path, key,
                ', the moving average (EMA) of the weights,'
                if key in _AVERAGES else '', ', '.join(beside))
        weights = weights[key]
    if found == ['state_dict'] and _holds_tensors(content.get(_SWAPPED)):
        logger.info(
            '%s: its state_dict is the moving average (EMA) of the weights; '
            'the trained weights are in %s', path, _SWAPPED)
    rest = {k: v for k, v in content.items() if k != found[0]}
    return {**rest, 'state_dict': _without_wrappers(weights)}


def _find_weights(content: Mapping) -> list[str]:
    """Keys that lead to a model's weights; none if there are no weights."""
    for key in (*_AVERAGES, *_WEIGHTS):
        inner = content.get(key)
        if _holds_tensors(inner):
            return [key]
        if isinstance(inner, Mapping) and _find_weights(inner):
            return [key, *_find_weights(inner)]
    return []


def _holds_tensors(value) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(v, torch.Tensor) for v in value.values())


def _without_wrappers(weights: dict) -> dict:
    """Remove the prefixes that wrappers added to the names of weights.

    ``DistributedDataParallel`` and moving averages put ``module.`` before all
    names, and modules compiled by ``torch.compile`` have ``_orig_mod.`` in
    their names.
    """
    names = {
        name: name.replace('_orig_mod.', '')
        for name in weights if name not in _COUNTERS
    }
    if names and all(name.startswith('module.') for name in names.values()):
        names = {k: v.removeprefix('module.') for k, v in names.items()}
    else:
        names = {name: name.replace('_orig_mod.', '') for name in weights}
    plain = type(weights)((names[k], weights[k]) for k in names)
    if hasattr(weights, '_metadata'):
        # PyTorch's OrderedDict has metadata.
        setattr(plain, '_metadata', weights._metadata)
    return plain


def in_single_precision(content: dict) -> dict:
    """Convert weights to the precision of models.

    PyTorch lacks some operations on weights in half precision.
    """
    weights = content.get('state_dict', {})
    if _holds_tensors(weights):
        for name, value in weights.items():
            if isinstance(value,
                          torch.Tensor) and value.dtype in (torch.float16,
                                                            torch.bfloat16):
                weights[name] = value.float()
    return content
