"""Scalars that stay on their device until they are read."""
import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from torch import Tensor

# Number of unread scalars after which they are fetched, to bound memory.
MOST_WAITING = 1000


class ScalarHub(MessageHub):
    """A ``MessageHub`` that takes tensors without waiting for them.

    mmengine's hub reads each loss from the device in each iteration and waits
    until the device has computed it. This one reads all of them in one copy
    when the log, a checkpoint or other code needs them. The values are the
    same.
    """

    def __init__(self, name: str, *args, **kwargs) -> None:
        super().__init__(name, *args, **kwargs)
        # Values missing in each history, with their counts.
        self._waiting = {}
        self._number = 0

    def update_scalar(self,
                      key: str,
                      value: int | float | np.ndarray | Tensor,
                      count: int = 1,
                      resumed: bool = True) -> None:
        """Add a value to a history; see ``MessageHub``.

        Args:
            key: Name of the history.
            value: One number.
            count: Number of summands in the value.
            resumed: Whether checkpoints have the history.
        """
        if not isinstance(value, Tensor) and key not in self._waiting:
            super().update_scalar(key, value, count, resumed)
            return
        if isinstance(value, Tensor):
            # A copy: the next step may write to the same memory.
            value = value.detach().reshape(()).clone()
        else:
            value = self._get_valid_value(value)
        self._set_resumed_keys(key, resumed)
        # The log shows histories in the order of their first values.
        self._log_scalars.setdefault(key, HistoryBuffer())
        self._waiting.setdefault(key, []).append((value, count))
        self._number += 1
        if self._number >= MOST_WAITING:
            self._fetch()

    @property
    def log_scalars(self) -> dict:
        """All histories."""
        self._fetch()
        return super().log_scalars

    def get_scalar(self, key: str) -> HistoryBuffer:
        """One history; the device is read only if it may lack values.

        Raises:
            KeyError: If it does not exist.
        """
        if key in self._log_scalars and key not in self._waiting:
            return self._log_scalars[key]
        return super().get_scalar(key)

    def state_dict(self) -> dict:
        """State for a checkpoint; see ``MessageHub``."""
        self._fetch()
        return super().state_dict()

    def _fetch(self) -> None:
        waiting, self._waiting, self._number = self._waiting, {}, 0
        numbers = iter(_numbers([v for x in waiting.values() for v, _ in x]))
        for key, entries in waiting.items():
            history = self._log_scalars[key]
            values, counts = history.data
            length = history.max_length
            values = np.append(values, [next(numbers) for _ in entries])
            counts = np.append(counts, [count for _, count in entries])
            # In place: other code may hold a reference to it.
            history.__init__(values[-length:], counts[-length:], length)


# mmengine's code gets the current hub from its own class.
ScalarHub._instance_dict = MessageHub._instance_dict


def _numbers(values: list) -> list[int | float]:
    """Convert numbers and scalar tensors to Python's numbers."""
    groups = {}
    for place, value in enumerate(values):
        if isinstance(value, Tensor):
            groups.setdefault((value.device, value.dtype), []).append(place)
    numbers = list(values)
    for places in groups.values():
        fetched = torch.stack([values[place] for place in places]).tolist()
        for place, number in zip(places, fetched):
            numbers[place] = number
    return numbers
