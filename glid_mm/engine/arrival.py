"""Read results from a device without stopping it."""
import torch
from torch import Tensor

# Devices that keep working while the CPU prepares the next step.
ASYNCHRONOUS = ('cuda', )


def works_ahead(device: torch.device) -> bool:
    """Whether to read values of a device one step later.

    Args:
        device: The device of the values.

    Returns:
        True for GPUs: a read waits until all queued work is done, and the GPU
        is then idle until it gets more.
    """
    return device.type in ASYNCHRONOUS


class Arrival:
    """A tensor that is being copied to the CPU.

    The device continues with its other work. Reading the copy waits only
    until the copy has arrived.

    Args:
        tensor: A tensor on any device.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._copy = tensor.detach()
        self._event = None
        if tensor.is_cuda:
            self._copy = torch.empty_like(
                self._copy, device='cpu', pin_memory=True)
            self._copy.copy_(tensor, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()

    def get(self) -> Tensor:
        """The tensor, on the CPU."""
        if self._event is not None:
            self._event.synchronize()
        return self._copy
