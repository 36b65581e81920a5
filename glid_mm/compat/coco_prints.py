"""Fixes: COCO's readers and evaluation print between the lines of the log.

For every file and every validation they print a dozen notes of progress, and a
table whose numbers the log has anyway. Here the notes are dropped, and the
table goes to mmengine's logger, which keeps it out of the way.
"""
from importlib.util import find_spec

from .import_hooks import after_import

#: Start of each line of the table.
TABLE = ' Average '
_NOTES = ('loading annotations into memory', 'creating index', 'index created',
          'Done (t=', 'DONE (t=', 'Loading and preparing results',
          'Running per image evaluation', 'Evaluate annotation type',
          'Accumulating evaluation results')
_MODULES = ('pycocotools.coco', 'pycocotools.cocoeval',
            'mmdet.datasets.api_wrappers.coco_api',
            'mmdet.datasets.api_wrappers.cocoeval_mp')
_OTHER = ('xtcocotools.coco', 'xtcocotools.cocoeval')


def _print(*values, **kwargs) -> None:
    """Python's ``print`` for these modules."""
    text = str(values[0]) if values else ''
    if text.startswith(TABLE):
        from mmengine.logging import print_log
        print_log(text, 'current')
    elif not text.startswith(_NOTES):
        print(*values, **kwargs)


def _mend(module) -> None:
    module.print = _print


def install() -> None:
    """Replace ``print`` in these modules."""
    # Without the real one, pycocotools takes its place.
    for name in _MODULES + _OTHER * (find_spec('xtcocotools') is not None):
        after_import(name, _mend)
