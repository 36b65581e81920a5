"""Mends: a data loader that pins memory leaves ground truth out.

Only from pinned memory does a GPU fetch data while it computes. PyTorch's
loaders pin tensors, and what has a method for it. mmengine's data samples,
which hold labels, heatmaps and masks, have none.
"""
from .import_hooks import after_import


def _pin_memory(self):
    """The same with its tensors in pinned memory."""
    pinned = self.new()
    for name, value in self.items():
        if hasattr(value, 'pin_memory'):
            pinned.set_data({name: value.pin_memory()})
    return pinned


def _add_method(module) -> None:
    if not hasattr(module.BaseDataElement, 'pin_memory'):
        module.BaseDataElement.pin_memory = _pin_memory


def install() -> None:
    """Give data samples the method."""
    after_import('mmengine.structures.base_data_element', _add_method)
