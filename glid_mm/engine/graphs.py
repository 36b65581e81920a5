"""Replay passes of a model as CUDA graphs."""
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call


class _Pass(nn.Module):
    """Wrap a function as a module with a model's parameters."""

    def __init__(self, model: nn.Module, function: Callable) -> None:
        super().__init__()
        self.model = model
        self.function = function

    def forward(self, *inputs: Tensor):
        return self.function(*inputs)


class Graphs:
    """Forward and backward passes as CUDA graphs, one for every shape.

    A replay launches all kernels of a pass at once, so the host is free while
    the device computes. The shapes in a pass must follow from its inputs'
    shapes, and the pass must not read values from the device.

    Args:
        model: The model; the passes use all of its parameters.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._captured: dict[tuple, Callable] = {}

    def __call__(self, function: Callable, *inputs: Tensor, kind=()):
        """Call a function of tensors; the first call of a kind captures it.

        Args:
            function: Maps tensors to tensors. Functions of the same name and
                kind count as the same function.
            *inputs: Tensors on the device, without gradients.
            kind (hashable): Anything else that the function depends on.

        Returns:
            The function's result, which the next call overwrites.
        """
        # The graph writes gradients to the same memory each time, so
        # accumulated gradients are moved elsewhere first.
        for p in self._model.parameters():
            if p.grad is not None:
                p.grad = p.grad.clone()
        amp = torch.is_autocast_enabled('cuda'), torch.get_autocast_dtype(
            'cuda')
        key = (function.__name__, kind, amp, *((x.shape, x.dtype)
                                               for x in inputs))
        if key not in self._captured:
            # Autocast's cached copies would outlive the graph's memory.
            with torch.autocast('cuda', amp[1], amp[0], cache_enabled=False):
                self._captured[key] = self._capture(function, inputs)
        return self._captured[key](*inputs, *self._model.parameters())

    def _capture(self, function: Callable, inputs: tuple) -> Callable:
        """The function as a graph of the inputs and of the parameters."""
        # DDP ties a parameter's gradient to the stream of its wrapping, which
        # a capture must not touch. So the graph has its own parameters in the
        # same memory, and the replay passes on their gradients.
        model = _Pass(self._model, function)
        names = [name for name, _ in model.named_parameters()]
        own = [
            nn.Parameter(p.detach(), p.requires_grad)
            for p in model.parameters()
        ]

        def run(*tensors: Tensor):
            given = tensors[:len(inputs)]
            parameters = dict(zip(names, tensors[len(inputs):]))
            return functional_call(model, parameters, given)

        return torch.cuda.make_graphed_callables(run,
                                                 (*(x.clone()
                                                    for x in inputs), *own))
