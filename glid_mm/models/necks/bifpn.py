"""BiFPN: a feature pyramid that fuses down and up with learnt weights."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..layers.basics import LayerNorm, Recomputing
from ..layers.tokens import Level, TokenGrid


class Lateral(nn.Sequential):
    """Linear and norm, from an encoder's channels to the pyramid's."""


class SeparableConv(nn.Module):
    """SiLU, depthwise 3×3, pointwise, LayerNorm; on existing tokens.

    Absent tokens count as zero for their neighbours and stay absent.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.act = nn.SiLU()
        self.depthwise = nn.Conv2d(
            channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Linear(channels, channels)
        self.norm = LayerNorm(channels)

    def forward(self, x: Tensor, level: Level) -> Tensor:
        # A coarser token at the edge also covers padding.
        x = level.to_map(level.keep_valid(self.act(x)))
        x = level.from_map(self.depthwise(x))
        return level.keep_valid(self.norm(self.pointwise(x)))


class Fusion(Recomputing):
    """Fast normalised fusion of EfficientDet, then a separable conv."""

    def __init__(self, channels: int, num_inputs: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(num_inputs))
        self.conv = SeparableConv(channels)

    def forward(self, inputs: Sequence[Tensor], level: Level) -> Tensor:
        """``(B, n, C)`` of a level, its neighbour last -> the level's.

        The neighbour has four times or a quarter of its tokens.
        """
        # A pyramid stores many maps for gradients but is cheap to compute.
        return self.interior(self._fuse, *inputs, level)

    def _fuse(self, *inputs) -> Tensor:
        *own, other, level = inputs
        weights = self.weights.relu()
        *first, last = (weights / (weights.sum() + 1e-4)).unbind()
        x = sum(w * t for w, t in zip(first, own))
        if other.shape[1] > x.shape[1]:
            x = x + last * other.unflatten(1, (-1, 4)).mean(2)
        else:
            x = x.unflatten(1, (-1, 4)) + last * other[:, :, None]
            x = x.flatten(1, 2)
        return self.conv(x, level)


class BiFPNLayer(nn.Module):
    """One top-down and one bottom-up pass."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(Fusion(channels, 2) for _ in range(3))
        self.up = nn.ModuleList(
            Fusion(channels, inputs) for inputs in (3, 3, 2))

    def forward(self, inputs: list[Tensor], grid: TokenGrid) -> list[Tensor]:
        """Tokens of four levels, finest first, in and out."""
        down = [inputs[3]]
        for i in (2, 1, 0):
            down.insert(0, self.down[i]([inputs[i], down[0]], grid.levels[i]))
        outs = down[:1]
        for i in (1, 2, 3):
            own = [inputs[i], down[i]] if i < 3 else [inputs[i]]
            outs.append(self.up[i - 1]([*own, outs[-1]], grid.levels[i]))
        return outs


class BiFPN(nn.Module):
    """Laterals to a common width, then BiFPN layers.

    Args:
        in_channels: Channels at strides 4, 8, 16 and 32.
        channels: Channels of every output.
        num_layers: BiFPN layers.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 channels: int = 256,
                 num_layers: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.laterals = nn.ModuleList(
            Lateral(nn.Linear(c, channels), LayerNorm(channels))
            for c in in_channels)
        self.layers = nn.ModuleList(
            BiFPNLayer(channels) for _ in range(num_layers))

    def forward(self, features: Sequence[Tensor],
                grid: TokenGrid) -> list[Tensor]:
        """Fuse the tokens of a grid at strides 4, 8, 16 and 32.

        Args:
            features: ``(B, n, C)``, C of each stride.
            grid: Their grid.

        Returns:
            ``(B, n, channels)``, zero at padding.
        """
        outs = [
            level.keep_valid(lateral(x))
            for level, lateral, x in zip(grid.levels, self.laterals, features)
        ]
        for layer in self.layers:
            outs = layer(outs, grid)
        return outs
