"""Fixes: mmdet, mmseg and mmpretrain print irrelevant notes.

On import the maintained line reports that OneDL, a service of its makers, is
missing. The note has debug level but no logger, and mmengine's
``print_log`` prints notes without a logger. mmdet also warns that
``faster_coco_eval`` is missing, even if its metric is not used.
mmengine warns at the start of training about functions that it calls itself.
"""
import logging
import warnings

from .import_hooks import after_import

_NOTE = 'Could not import OneDL'
# Caused by mmengine's own calls at the start of training.
_OWN = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias')


def _respect_level(module):
    print_log = module.print_log

    def print_log_unless_debug(msg, logger=None, level=logging.INFO):
        if logger is None and level <= logging.DEBUG and str(msg).startswith(
                _NOTE):
            return
        if str(msg).startswith(_OWN):
            return
        print_log(msg, logger=logger, level=level)

    print_log_unless_debug.__doc__ = print_log.__doc__
    module.print_log = print_log_unless_debug


def install() -> None:
    """Hide these notes, and no others."""
    after_import('mmengine.logging', _respect_level)
    warnings.filterwarnings('ignore', 'faster_coco_eval is not installed')
