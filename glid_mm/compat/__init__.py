"""The one place that knows quirks of library versions.

Every shim is a file of its own, says what it mends, steps in only where the
real thing is missing or broken, and leaves no trace where nothing is wrong.
All of them wait inside the import system: :func:`prepare` imports no library,
and a shim acts at the moment when the library it is about is imported.
"""
import functools

from ..errors import require
from . import (keypoint_radius, logging, mmcv_ext, multimodal, own_configs,
               panopticapi, pinned_samples, safe_reading, torchvision,
               xtcocotools)

__all__ = ['prepare']


def prepare(*libraries: str, task: str = '') -> None:
    """Patch libraries that are about to be imported, and require them.

    The only call that patches anything. Rooms make it before they import a
    library of OpenMMLab.

    Args:
        libraries (str): Import names that have to be there, such as
            ``'mmseg'``.
        task (str): What they are needed for, in words.

    Raises:
        MissingLibraryError: See :func:`glid_mm.errors.require`.
    """
    _put_shims_in_place()
    require(*libraries, task=task)


@functools.cache
def _put_shims_in_place() -> None:
    for shim in (torchvision, mmcv_ext, xtcocotools, multimodal, panopticapi,
                 safe_reading, pinned_samples, keypoint_radius, own_configs,
                 logging):
        shim.install()
