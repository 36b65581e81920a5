"""Fixes: torchvision does not import when its compiled ops do not load.

They do not load with another build of torch, for instance torchvision's CUDA
wheel with a CPU torch. The rest of torchvision is plain Python, but its import
fails where it registers shapes for ``nms`` and ``qnms``, because operators
must be declared first. This declares the two.
"""
import sys

from ..errors import MissingOpError
from .import_hooks import after_import

_SCHEMAS = {
    name: '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'
    for name in ('nms', 'qnms')
}

# Kept for the life of the process: freeing the library would remove its
# declarations.
_libraries = []


def _refuse(name):
    import torch
    raise MissingOpError(
        f"torchvision's compiled op {name!r} was called, but it cannot be "
        f'loaded with torch {torch.__version__}. Install the torchvision '
        'of the same release and build (CPU or CUDA) as torch, from the '
        'index that torch came from:\n'
        'pip install --force-reinstall --no-deps torchvision')


def _make_op(name):

    def op(*args):
        _refuse(name)

    return op


def _refuse_caller():
    # torchvision's own check is the first line of each of its ops.
    _refuse(sys._getframe(1).f_code.co_name)


def _declare_if_missing(extension):
    if extension._has_ops():
        return
    import torch
    library = torch.library.Library('torchvision', 'DEF')
    for name, schema in _SCHEMAS.items():
        library.define(name + schema)
        library.impl(name, _make_op(name), 'CompositeExplicitAutograd')
    _libraries.append(library)
    extension._assert_has_ops = _refuse_caller


def install() -> None:
    """Wait until torchvision has tried to load its ops."""
    # The package imports this module first and loads the ops in it.
    after_import('torchvision.extension', _declare_if_missing)
