"""Fixes: a data loader that pins memory does not pin ground truth.

A GPU fetches data while it computes only from pinned memory. PyTorch's loaders
pin tensors, and objects with a ``pin_memory`` method. mmengine's data samples,
which hold labels, heatmaps and masks, have no such method.
"""
from .import_hooks import after_import


def _pin_memory(self):
    """A copy with its tensors in pinned memory."""
    pinned = self.new()
    for name, value in self.items():
        if hasattr(value, 'pin_memory'):
            pinned.set_data({name: value.pin_memory()})
    return pinned


def _add_method(module) -> None:
    if not hasattr(module.BaseDataElement, 'pin_memory'):
        module.BaseDataElement.pin_memory = _pin_memory


def install() -> None:
    """Add the method to data samples."""
    after_import('mmengine.structures.base_data_element', _add_method)
