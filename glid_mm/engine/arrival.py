"""What a device computes, read without stopping it."""
import torch
from torch import Tensor

# Devices that go on working while the CPU prepares what comes next.
ASYNCHRONOUS = ('cuda', )


def works_ahead(device: torch.device) -> bool:
    """Whether questions to a device had better be asked one step later.

    Args:
        device (torch.device): Where something is computed.

    Returns:
        bool: True of GPUs: to answer, they finish all that they have been
        given, and then have nothing to do until they are given more.
    """
    return device.type in ASYNCHRONOUS


class Arrival:
    """A copy of a tensor that is on its way to the CPU.

    The device goes on with what else it has been given; whoever asks for the
    copy waits until it is there, and no longer.

    Args:
        tensor (Tensor): On any device.
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
