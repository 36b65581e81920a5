"""The one place that knows quirks of library versions.

Every shim is a file of its own, says what it mends, steps in only where the
real thing is missing or broken, and leaves no trace where nothing is wrong.
All of them wait inside the import system: :func:`install` imports no library,
and a shim acts at the moment when the library it is about is imported.
"""
import functools

from . import (logging, mmcv_ext, multimodal, panopticapi, pinned_samples,
               safe_reading, torchvision, xtcocotools)
from .missing import require

__all__ = ['install', 'require']


@functools.cache
def install() -> None:
    """Put every shim in place; a second call does nothing.

    To be called before any OpenMMLab library is imported;
    ``glid_mm.registry`` and the tools do so.
    """
    for shim in (torchvision, mmcv_ext, xtcocotools, multimodal, panopticapi,
                 safe_reading, pinned_samples, logging):
        shim.install()
