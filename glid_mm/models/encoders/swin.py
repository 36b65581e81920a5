"""Swin Transformer on whole images or only on visible units.

Masked tokens are removed, not replaced by a learnt vector. This equals
excluding them as attention keys.
"""
from collections.abc import Sequence
from itertools import cycle, islice
from typing import TypedDict, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..layers.attention import WindowAttention
from ..layers.basics import MLP, DropPath, LayerNorm
from ..layers.relative_bias import Pairs
from ..layers.tokens import PATCH, STRIDES, UNIT, TokenGrid
from ..layers.windows import Windows


class Architecture(TypedDict):
    """Sizes of the first stage or of each stage; channels double per stage."""
    dims: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    window: int


# Swin's published sizes, and 'nano' for small images and small machines.
ARCHITECTURES = {
    name: Architecture(dims=dims, depths=depths, heads=heads, window=window)
    for name, dims, depths, heads, window in (
        ('nano', 32, (2, 2, 4, 2), (1, 2, 4, 8), 8),
        ('tiny', 96, (2, 2, 6, 2), (3, 6, 12, 24), 12),
        ('small', 96, (2, 2, 18, 2), (3, 6, 12, 24), 12),
        ('base', 128, (2, 2, 18, 2), (4, 8, 16, 32), 12),
        ('large', 192, (2, 2, 18, 2), (6, 12, 24, 48), 12),
    )
}


class SwinBlock(nn.Module):
    """Pre-norm window attention and feed-forward network."""

    def __init__(self, dims: int, num_heads: int, window_size: int,
                 shifted: bool, drop_path_rate: float) -> None:
        super().__init__()
        self.shifted = shifted
        self.norm1 = LayerNorm(dims)
        self.attn = WindowAttention(dims, num_heads, window_size)
        self.norm2 = LayerNorm(dims)
        self.mlp = MLP(dims, 4 * dims)
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor, windows: Windows, pairs: Pairs) -> Tensor:
        """``(B, n, dims)`` in and out."""
        x = x + self.drop_path(
            self.attn(self.norm1(x), windows.move, pairs, windows.exists))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PatchMerging(nn.Module):
    """Join 2×2 tokens: ``(B, 4n, dims)`` -> ``(B, n, 2·dims)``."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.norm = LayerNorm(4 * dims)
        self.reduction = nn.Linear(4 * dims, 2 * dims, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduction(self.norm(x.unflatten(1, (-1, 4)).flatten(2)))


class SwinStage(nn.Module):
    """Blocks at one stride, preceded by patch merging.

    The buffer ``trained_extent`` is the longer side, in tokens, of the largest
    window seen in pre-training: beyond it the bias tables are untrained.
    """
    trained_extent: Tensor

    def __init__(self, dims: int, num_heads: int, window_size: int,
                 shifted: bool, drop_path_rates: Sequence[float],
                 merge: bool) -> None:
        super().__init__()
        self.window_size = window_size
        self.downsample = PatchMerging(dims // 2) if merge else nn.Identity()
        blocks = nn.ModuleList(
            SwinBlock(dims, num_heads, window_size, shift, rate)
            for shift, rate in zip(cycle((False, shifted)), drop_path_rates))
        # Type checkers do not know the modules in a ModuleList.
        self.blocks = cast(list[SwinBlock], blocks)
        self.register_buffer('trained_extent', torch.tensor(0))

    def forward(self, x: Tensor, grid: TokenGrid, level: int,
                checkpointing: bool) -> Tensor:
        x = self.downsample(x)
        for block in self.blocks:
            key = level, self.window_size, block.shifted
            inputs = x, grid.windows(*key), grid.pairs(*key)
            if checkpointing and self.training:
                x = checkpoint(block, *inputs, use_reentrant=False)
            else:
                x = block(*inputs)
        return grid.levels[level].keep_valid(x)


class SwinEncoder(nn.Module):
    """Swin Transformer with an output norm at every stage.

    Args:
        arch: A name in :data:`ARCHITECTURES`.
        window_size: Side of the windows in all stages, or in each; by default
            the architecture's.
        drop_path_rate: Stochastic depth of the last block; it rises linearly
            from 0 at the first.
        checkpointed_stages: Number of stages, from the first on, that
            recompute their blocks in the backward pass; the first ones store
            most.
        shifted_windows: Shift the windows of every other block, as in Swin.
            MixMIM does not.

    Attributes:
        out_channels (tuple[int]): Channels at strides 4, 8, 16 and 32.

    Raises:
        ValueError: If the architecture is unknown, or the number of windows is
            not the number of stages.
    """

    def __init__(self,
                 arch: str = 'base',
                 window_size: int | Sequence[int] | None = None,
                 drop_path_rate: float = 0.,
                 checkpointed_stages: int = 0,
                 shifted_windows: bool = True) -> None:
        super().__init__()
        if arch not in ARCHITECTURES:
            raise ValueError(f'no Swin architecture {arch!r}; choose one of '
                             f'{", ".join(ARCHITECTURES)}')
        facts = ARCHITECTURES[arch]
        windows = window_size or facts['window']
        if isinstance(windows, int):
            windows = (windows, ) * 4
        if len(windows) != 4:
            raise ValueError(f'window_size={window_size}: give one for all '
                             'stages, or one for each of the 4')
        self.shifted_windows = shifted_windows
        self.checkpointed_stages = checkpointed_stages
        self.out_channels = tuple(facts['dims'] << i for i in range(4))
        self.patch_embed = nn.Sequential()
        self.patch_embed.proj = nn.Linear(3 * PATCH**2, facts['dims'])
        self.patch_embed.norm = LayerNorm(facts['dims'])
        last = sum(facts['depths']) - 1
        rates = (drop_path_rate * block / last for block in range(last + 1))
        stages = nn.ModuleList(
            SwinStage(dims, heads, window, shifted_windows,
                      list(islice(rates, depth)), dims > facts['dims'])
            for dims, heads, window, depth in zip(
                self.out_channels, facts['heads'], windows, facts['depths']))
        self.stages = cast(list[SwinStage], stages)
        self.norms = nn.ModuleList(map(LayerNorm, self.out_channels))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor, grid: TokenGrid) -> list[Tensor]:
        """Encode the tokens of a grid.

        Args:
            images: ``(B, 3, H, W)``, standardised, padding zero; H and W are
                multiples of 32.
            grid: The existing tokens.

        Returns:
            ``(B, n, C)`` at strides 4, 8, 16 and 32, without meaning at
            padding.
        """
        x = grid.levels[0].keep_valid(self.patch_embed(grid.patches(images)))
        outs = []
        for level, (stage, norm) in enumerate(zip(self.stages, self.norms)):
            x = stage(x, grid, level, level < self.checkpointed_stages)
            outs.append(norm(x))
        return outs

    def note_size(self, units: tuple[int, int]) -> None:
        """Record the size of the pre-training images, in units of 32×32 px."""
        for stage, stride in zip(self.stages, STRIDES):
            side = max(units) * UNIT // stride
            stage.trained_extent.clamp_(min=min(side, stage.window_size))

    def plan(self, grid: TokenGrid) -> None:
        """Precompute the windows of all stages in a grid."""
        for level, stage in enumerate(self.stages):
            for block in islice(stage.blocks, 2):
                grid.windows(level, stage.window_size, block.shifted)
