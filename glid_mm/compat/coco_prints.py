"""Fixes: COCO's readers and evaluation print between the lines of the log.

For every file and every validation, they print a dozen progress messages and a
table of numbers that the log has anyway. The messages are dropped; the table
goes to mmengine's logger, which writes it into the file of details.
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
    """Replacement for ``print`` in these modules."""
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
    # If xtcocotools is not installed, pycocotools replaces it.
    for name in _MODULES + _OTHER * (find_spec('xtcocotools') is not None):
        after_import(name, _mend)
