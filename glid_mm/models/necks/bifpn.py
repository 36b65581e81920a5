"""BiFPN: a feature pyramid that fuses down and up with learnt weights."""
from typing import List, Sequence

import torch
from torch import Tensor, nn

from ..layers.recompute import recompute
from ..layers.tokens import TokenGrid


class SeparableConv(nn.Module):
    """SiLU, depthwise 3×3, pointwise, LayerNorm; on tokens that exist.

    Absent tokens count as zero to their neighbours, and none is made.

    Args:
        channels (int): Channels in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.act = nn.SiLU()
        self.depthwise = nn.Conv2d(
            channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor, grid: TokenGrid, level: int) -> Tensor:
        # A coarser token at the rim also covers padding.
        x = grid.to_map(grid.keep_valid(self.act(x), level), level)
        x = grid.from_map(self.depthwise(x), level)
        return grid.keep_valid(self.norm(self.pointwise(x)), level)


class Fusion(nn.Module):
    """Fast normalised fusion of EfficientDet, then a separable conv.

    Args:
        channels (int): Channels of every input.
        num_inputs (int): Number of inputs.
    """

    def __init__(self, channels: int, num_inputs: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(num_inputs))
        self.conv = SeparableConv(channels)

    def forward(self, inputs: Sequence[Tensor], grid: TokenGrid,
                level: int) -> Tensor:
        """Fuse tokens of a level and of its neighbours into the level's.

        Args:
            inputs (Sequence[Tensor]): ``(B, n, C)``, the level's own first;
                others have four times or a quarter of its tokens.
            grid (TokenGrid): Where they lie.
            level (int): The level.

        Returns:
            Tensor: ``(B, n, C)``.
        """
        # A pyramid stores many maps for gradients and computes little.
        return recompute(self._fuse, inputs, grid, level)

    def _fuse(self, inputs: Sequence[Tensor], grid: TokenGrid,
              level: int) -> Tensor:
        weights = self.weights.relu()
        weights = weights / (weights.sum() + 1e-4)
        tokens = inputs[0].shape[1]
        x = sum(w * _resize(t, tokens) for w, t in zip(weights, inputs))
        return self.conv(x, grid, level)


class BiFPNLayer(nn.Module):
    """One pass down the pyramid and one up again.

    Args:
        channels (int): Channels at every level.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(Fusion(channels, 2) for _ in range(3))
        self.up = nn.ModuleList(
            Fusion(channels, inputs) for inputs in (3, 3, 2))

    def forward(self, inputs: List[Tensor], grid: TokenGrid) -> List[Tensor]:
        """Tokens of four levels, finest first, in and out."""
        coarse = inputs[3]
        between = [coarse]
        for level in (2, 1, 0):
            coarse = self.down[level]([inputs[level], coarse], grid, level)
            between.insert(0, coarse)
        outs = between[:1]
        for level in (1, 2, 3):
            terms = [inputs[level], outs[-1]]
            if level < 3:
                terms.insert(1, between[level])
            outs.append(self.up[level - 1](terms, grid, level))
        return outs


class BiFPN(nn.Module):
    """Laterals to one width, then BiFPN layers.

    Args:
        in_channels (Sequence[int]): Channels at strides 4, 8, 16 and 32.
        channels (int): Channels of every output.
        num_layers (int): BiFPN layers.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 channels: int = 256,
                 num_layers: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Linear(c, channels), nn.LayerNorm(channels))
            for c in in_channels)
        self.layers = nn.ModuleList(
            BiFPNLayer(channels) for _ in range(num_layers))

    def forward(self, features: Sequence[Tensor],
                grid: TokenGrid) -> List[Tensor]:
        """Fuse.

        Args:
            features (Sequence[Tensor]): ``(B, n, C)`` tokens at strides 4,
                8, 16 and 32.
            grid (TokenGrid): Where they lie.

        Returns:
            list[Tensor]: ``(B, n, channels)`` at the same strides; those of
            padding are zero.
        """
        outs = [
            grid.keep_valid(lateral(x), level)
            for level, (lateral, x) in enumerate(zip(self.laterals, features))
        ]
        for layer in self.layers:
            outs = layer(outs, grid)
        return outs


def _resize(x: Tensor, tokens: int) -> Tensor:
    """Mean of 2×2 tokens or nearest neighbour, or as it is.

    ``(B, n, C)`` -> ``(B, tokens, C)``.
    """
    if x.shape[1] > tokens:
        return x.unflatten(1, (-1, 4)).mean(2)
    if x.shape[1] < tokens:
        return x.repeat_interleave(4, 1)
    return x
