"""Workarounds for quirks of library versions, all in one place.

Every shim has its own file and documents its purpose. It changes nothing if
the original works. :func:`prepare` imports no library: shims wait in the
import system and act when their library is imported.
"""
import functools

from ..errors import require
from . import (coco_prints, keypoint_radius, logging, mmcv_ext, multimodal,
               own_configs, panopticapi, pinned_samples, safe_reading,
               torchvision, xtcocotools)

__all__ = ['prepare']


def prepare(*libraries: str, task: str = '') -> None:
    """Patch libraries that are about to be imported, and require them.

    This is the only call that patches anything. Subpackages call it before
    they import an OpenMMLab library.

    Args:
        libraries: Import names of required libraries, such as ``'mmseg'``.
        task: The purpose in words, for the message.

    Raises:
        MissingLibraryError: See :func:`glid_mm.errors.require`.
    """
    _put_shims_in_place()
    require(*libraries, task=task)


@functools.cache
def _put_shims_in_place() -> None:
    # coco_prints looks for the real xtcocotools, so it precedes the shim.
    for shim in (torchvision, mmcv_ext, coco_prints, xtcocotools, multimodal,
                 panopticapi, safe_reading, pinned_samples, keypoint_radius,
                 own_configs, logging):
        shim.install()
