"""The feed-forward network of a transformer block."""
from torch import Tensor, nn

from .recompute import Recomputing


class MLP(Recomputing):
    """Linear, GELU, linear on the last axis.

    Args:
        dims (int): Input and output channels.
        hidden_dims (int): Channels in between.
    """

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
