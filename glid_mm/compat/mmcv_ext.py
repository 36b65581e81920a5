"""Fixes: mmdet, mmseg and mmpose do not import without mmcv's compiled ops.

They import ``mmcv.ops``, whose modules load their functions from ``mmcv._ext``
at once, used or not. If there is no ``mmcv._ext``, this provides one whose
functions can be looked up and pickled, but not called.
"""
from ..doctor.environment import Environment, installed_versions
from ..errors import MissingOpError
from .import_hooks import stand_in

NAME = 'mmcv._ext'


def _make_op(name):

    def op(*args, **kwargs):
        raise MissingOpError(
            f"mmcv's compiled op {name!r} was called, but this mmcv has no "
            'compiled ops. In a checkout of glid_mm, build them with '
            '`make ops`; elsewhere with:\n' +
            Environment(versions=installed_versions()).command_for_mmcv_ops)

    op.__name__ = op.__qualname__ = name
    op.__module__ = NAME
    return op


def _fill(module):

    def get_op(name):
        # Python, pickle and inspect look up names of this form in modules; no
        # op has such a name.
        if name.startswith('_'):
            raise AttributeError(f'module {NAME!r} has no attribute {name!r}')
        op = _make_op(name)
        setattr(module, name, op)
        return op

    module.__getattr__ = get_op
    # Environment reports call these and should not fail.
    module.get_compiler_version = lambda: 'n/a'
    module.get_compiling_cuda_version = lambda: 'n/a'


def install() -> None:
    """Provide the stand-in if there is no real ``mmcv._ext``."""
    stand_in(NAME, _fill)
