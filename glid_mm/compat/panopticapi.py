"""Fixes: mmdet's inferencer refuses panoptic maps without panopticapi.

That library is not on any registry, and the inferencer needs only its
conversion of ids to colours. If it is installed, nothing changes.
"""
from .import_hooks import after_import


def _colours(ids):
    """Convert ids ``(H, W)`` to RGB ``(H, W, 3)``: R + 256·G + 256²·B."""
    import numpy as np
    return np.stack([ids >> shift & 255 for shift in (0, 8, 16)], -1)


def _complete(module) -> None:
    if module.VOID is None:
        module.VOID, module.id2rgb = 0, _colours


def install() -> None:
    """Complete the inferencer when it is imported."""
    after_import('mmdet.apis.det_inferencer', _complete)
