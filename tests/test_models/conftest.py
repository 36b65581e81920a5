import pytest


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """Tiny models are faster on one thread."""
