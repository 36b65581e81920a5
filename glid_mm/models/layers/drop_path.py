"""Stochastic depth."""
from torch import Tensor, nn


class DropPath(nn.Module):
    """Drop a residual branch for whole samples while training.

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
        mask = x.new_empty(len(x), *(1, ) * (x.dim() - 1)).bernoulli_(keep)
        return x * (mask / keep)

    def extra_repr(self) -> str:
        return f'rate={self.rate:.3f}'
