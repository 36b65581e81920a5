"""Fixes: mmpretrain does not import with an incompatible transformers.

It imports its multimodal models (BLIP and others) if it finds a transformers
that is new enough, and fails on functions that newer releases have removed.
If the release is incompatible or cannot be imported, this switches the
multimodal models off, as mmpretrain does if transformers is missing.
"""
import importlib
import logging

from ..doctor.environment import Environment, installed_versions
from .import_hooks import after_import


def _obstacle(env: Environment) -> str | None:
    """Why mmpretrain cannot use this transformers, or None if it can."""
    instead = env.transformers_instead
    if instead is not None:
        return f'it needs {instead}'
    try:
        importlib.import_module('transformers')
    except Exception as error:  # it checks its own requirements
        return f'{type(error).__name__}: {error}'.splitlines()[0]
    return None


def _switch_off_what_does_not_fit(module) -> None:
    if not module.WITH_MULTIMODAL:
        return
    env = Environment(versions=installed_versions())
    obstacle = _obstacle(env)
    if obstacle is None:
        return
    module.WITH_MULTIMODAL = False
    from mmengine.logging import print_log
    print_log(
        f"mmpretrain's multimodal models are off, because it cannot use "
        f"transformers {env.versions['transformers']} ({obstacle}). "
        'glid_mm does not need them.',
        logger='current',
        level=logging.WARNING)


def install() -> None:
    """Wait for mmpretrain to check whether transformers is installed."""
    after_import('mmpretrain.utils.dependency', _switch_off_what_does_not_fit)
