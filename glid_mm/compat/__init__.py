"""Workarounds for quirks of library versions, all in one place.

Every shim has its own file, documents what it fixes, acts only if the real
thing is missing or broken, and otherwise changes nothing.
All of them wait inside the import system: :func:`prepare` imports no library,
and a shim acts when its library is imported.
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
        libraries (str): Import names of required libraries, such as
            ``'mmseg'``.
        task (str): What they are needed for, in words.

    Raises:
        MissingLibraryError: See :func:`glid_mm.errors.require`.
    """
    _put_shims_in_place()
    require(*libraries, task=task)


@functools.cache
def _put_shims_in_place() -> None:
    # coco_prints looks for the real xtcocotools, before the one in its place.
    for shim in (torchvision, mmcv_ext, coco_prints, xtcocotools, multimodal,
                 panopticapi, safe_reading, pinned_samples, keypoint_radius,
                 own_configs, logging):
        shim.install()
