"""Fixes: mmengine runs code in checkpoints that are not pure data.

A checkpoint is a pickle. If ``torch.load(weights_only=True)`` refuses one,
mmengine reads it again without that protection. Here everything that reads
files through mmengine (``load_from``, ``resume``, ``init_cfg``, the
inferencers of all hosts) uses
:func:`glid_mm.io.checkpoints.read_checkpoint`.
"""
from .import_hooks import after_import


def _read_as_data(module):

    @module.CheckpointLoader.register_scheme(prefixes='', force=True)
    def load_from_local(filename, map_location=None):
        from ..io.checkpoints import read_checkpoint
        return read_checkpoint(filename, map_location or 'cpu')


def install() -> None:
    """Make mmengine read files only as data."""
    after_import('mmengine.runner.checkpoint', _read_as_data)
