"""Shared fixtures; ``prepare()`` runs before any library is imported."""
import sys

import pytest

from glid_mm.compat import prepare

prepare()


def pytest_collection_modifyitems(items):
    """Run slow tests last, so that fast failures show early."""
    items.sort(key=lambda item: item.get_closest_marker('slow') is not None)


@pytest.fixture(autouse=True)
def no_state_left_behind():
    """Drop the instances that mmengine keeps for the whole process."""
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
