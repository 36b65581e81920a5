"""Stochastic depth."""
from torch import Tensor, distributed, nn


class DropPath(nn.Module):
    """Drop a residual branch for whole samples while training.

    Several processes draw for their joint batch, in which sample ``i`` of
    process ``r`` of ``n`` is number ``i · n + r``, and each keeps what its
    samples drew. If their generators are in one state, they drop what a
    single process with that batch would.

    Args:
        rate (float): Probability of dropping, 0 to below 1.
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
