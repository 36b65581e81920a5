"""Runs of tiny models are faster on one thread."""
import pytest


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """For all tests of the folder."""
