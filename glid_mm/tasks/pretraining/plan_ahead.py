"""Plan the next step on the CPU while the device computes this one."""
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from mmengine.logging import MessageHub
from torch import Tensor

from ...engine.randomness import shared_generator
from ...models import TokenGrid


class PlanAhead:
    """Compute plans of training iterations in a thread, one iteration ahead.

    A plan depends only on the run's seed and the iteration, so it can be made
    at any time; a resumed run makes its first plan at once.
    """

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._next: tuple[tuple, Future] | None = None

    def __reduce__(self):
        # Copies of a model have their own thread.
        return PlanAhead, ()

    def __call__(self, plan: Callable[..., TokenGrid], args: tuple,
                 device: torch.device) -> TokenGrid:
        """The plan of this iteration on a device, without waiting for it.

        Args:
            plan: Function that is called with ``args`` and a generator.
            args: Arguments of the plan, such as the batch size.
            device: Device of the step.
        """
        hub = MessageHub.get_current_instance()
        if hub.get_info('loop_stage') != 'train':
            return move_plan(plan(*args, shared_generator()), device)
        seed, iteration = hub.get_info('seed'), hub.get_info('iter')
        if self._next and self._next[0] == (seed, iteration, args):
            grid = self._next[1].result()
        else:
            grid = plan(*args, shared_generator())
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, 'plan')
        self._next = (seed, iteration + 1,
                      args), self._thread.submit(plan, *args,
                                                 shared_generator(ahead=1))
        return move_plan(grid, device)


def move_plan(grid: TokenGrid, device: torch.device) -> TokenGrid:
    """Copy a plan to a device without waiting for the copy.

    Args:
        grid: The plan on the CPU.
        device: Target device.
    """

    def move(x: Tensor) -> Tensor:
        if device.type == 'cuda':
            x = x.pin_memory()
        return x.to(device, non_blocking=True)

    return grid.apply(move)
