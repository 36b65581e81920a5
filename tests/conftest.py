"""Library quirks are mended before any test imports a library."""
import sys

import pytest

from glid_mm.compat import prepare

prepare()


def pytest_collection_modifyitems(items):
    """Slow tests come last: what fails fast is known soon."""
    items.sort(key=lambda item: item.get_closest_marker('slow') is not None)


@pytest.fixture(autouse=True)
def no_state_left_behind():
    """mmengine keeps some objects for the whole process."""
    yield
    if 'mmengine' in sys.modules:
        from mmengine.logging import MessageHub
        from mmengine.registry import DefaultScope
        from mmengine.visualization import Visualizer
        for kind in (DefaultScope, MessageHub, Visualizer):
            kind._instance_dict.clear()


@pytest.fixture
def one_thread():
    """Tiny models are faster on one thread."""
    import torch
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
