"""Measure the duration of calls."""
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator

import torch

# A latency is the median of as many calls as fit into this time.
_CALLS, _SECONDS = 20, 3.


def latency(call: Callable, *args) -> float:
    """Median duration of a call in milliseconds."""
    call(*args)
    times: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(times) < _CALLS and (not times or time.perf_counter() < end):
        start = time.perf_counter()
        call(*args)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set the number of PyTorch's threads temporarily."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
