"""Layers shared by all parts."""
import torch
from torch import Tensor, distributed, nn
from torch.utils.checkpoint import checkpoint


class LayerNorm(nn.LayerNorm):
    """``nn.LayerNorm`` that keeps half precision under autocast on GPUs.

    PyTorch's would return fp32 there. The residual stream and the pyramid stay
    in half precision, as they do on CPUs: half the memory traffic, and
    gradients are no worse (docs/design.md).
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).to(x.dtype)


class Recomputing(nn.Module):
    """A module that can recompute its interior in the backward pass.

    The interior must be cheaper to recompute than to store, and draw no random
    numbers. Gradients are bit for bit the same.
    """

    # None: recompute on CPUs only. GPUs have enough memory, and each call
    # costs the host more time than the device saves.
    recompute: bool | None = None

    def interior(self, function, *args):
        """Call ``function(*args)``; the first argument is a tensor."""
        again = args[0].is_cpu if self.recompute is None else self.recompute
        if not again or not torch.is_grad_enabled():
            return function(*args)
        return checkpoint(
            function, *args, use_reentrant=False, preserve_rng_state=False)


class MLP(Recomputing):
    """Linear, GELU, linear on the last axis."""

    def __init__(self, dims: int, hidden_dims: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dims, hidden_dims)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dims, dims)

    def forward(self, x: Tensor) -> Tensor:
        # The activation is as large as its input and cheap: storing one of
        # the two is enough.
        return self.interior(self._activate_and_project, self.fc1(x))

    def _activate_and_project(self, hidden: Tensor) -> Tensor:
        return self.fc2(self.act(hidden))


class DropPath(nn.Module):
    """Stochastic depth: drop a branch for whole samples while training.

    Several processes draw for their joint batch, in which sample ``i`` of
    process ``r`` of ``n`` is number ``i · n + r``. With equal generator
    states, they drop the same samples as a single process with that batch.
    """

    def __init__(self, rate: float = 0.) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f'drop path rate must lie in [0, 1), got {rate}')
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        rank, world_size = 0, 1
        if distributed.is_available() and distributed.is_initialized():
            rank = distributed.get_rank()
            world_size = distributed.get_world_size()
        shape = len(x) * world_size, *(1, ) * (x.dim() - 1)
        mask = x.new_empty(shape).bernoulli_(keep)[rank::world_size]
        return x * (mask / keep)

    def extra_repr(self) -> str:
        return f'rate={self.rate:.3f}'
