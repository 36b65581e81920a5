"""Swin Transformer on whole images or on visible units alone.

Masked tokens are not replaced by a learnt vector: they do not exist. What a
window holds is attended to exactly as if absent tokens had been excluded as
attention keys.
"""
from typing import List, Optional, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..layers.drop_path import DropPath
from ..layers.mlp import MLP
from ..layers.position_bias import extend_rim, logger
from ..layers.tokens import PATCH, STRIDES, TokenGrid
from ..layers.window_attention import WindowAttention
from ..layers.windows import plan_windows

# Swin's published sizes, and 'nano' for small images and small machines.
ARCHITECTURES = dict(
    nano=dict(dims=32, depths=(2, 2, 4, 2), heads=(1, 2, 4, 8), window=8),
    tiny=dict(dims=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), window=12),
    small=dict(dims=96, depths=(2, 2, 18, 2), heads=(3, 6, 12, 24), window=12),
    base=dict(dims=128, depths=(2, 2, 18, 2), heads=(4, 8, 16, 32), window=12),
    large=dict(
        dims=192, depths=(2, 2, 18, 2), heads=(6, 12, 24, 48), window=12),
)


class SwinBlock(nn.Module):
    """Pre-norm window attention and feed-forward network.

    Args:
        dims (int): Channels.
        num_heads (int): Attention heads.
        window_size (int): Side of the window, in tokens.
        shifted (bool): Whether windows are shifted by half their side.
        drop_path_rate (float): Stochastic depth.
    """

    def __init__(self, dims: int, num_heads: int, window_size: int,
                 shifted: bool, drop_path_rate: float) -> None:
        super().__init__()
        self.shifted = shifted
        self.norm1 = nn.LayerNorm(dims)
        self.attn = WindowAttention(dims, num_heads, window_size)
        self.norm2 = nn.LayerNorm(dims)
        self.mlp = MLP(dims, 4 * dims)
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor, grid: TokenGrid, level: int) -> Tensor:
        """``(B, n, dims)`` tokens of a grid's level in and out."""
        plan = plan_windows(grid, level, self.attn.window_size, self.shifted)
        x = x + self.drop_path(self.attn(self.norm1(x), plan, grid.groups))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PatchMerging(nn.Module):
    """Join 2×2 tokens: ``(B, 4n, dims)`` -> ``(B, n, 2·dims)``."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dims)
        self.reduction = nn.Linear(4 * dims, 2 * dims, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduction(
            self.norm(x.reshape(x.shape[0], -1, 4 * x.shape[-1])))


class SwinStage(nn.Module):
    """Blocks at one stride, after the patch merging that leads there.

    The buffer ``trained_extent`` tells the side, in tokens, of the largest
    window seen in training: beyond it the bias tables are untrained.
    """

    def __init__(self, dims: int, num_heads: int, window_size: int,
                 drop_path_rates: Sequence[float], merge: bool) -> None:
        super().__init__()
        self.window_size = window_size
        self.downsample = PatchMerging(dims // 2) if merge else nn.Identity()
        self.blocks = nn.ModuleList(
            SwinBlock(dims, num_heads, window_size, bool(i % 2), rate)
            for i, rate in enumerate(drop_path_rates))
        self.register_buffer('trained_extent', torch.tensor(0))

    def forward(self, x: Tensor, grid: TokenGrid, level: int,
                checkpointing: bool) -> Tensor:
        if self.training:
            side = min(grid.units) * STRIDES[-1] // STRIDES[level]
            self.trained_extent.clamp_(min=min(side, self.window_size))
        x = self.downsample(x)
        for block in self.blocks:
            if checkpointing and self.training:
                x = checkpoint(block, x, grid, level, use_reentrant=False)
            else:
                x = block(x, grid, level)
        return grid.keep_valid(x, level)


class SwinEncoder(nn.Module):
    """Swin Transformer with an output norm at every stage.

    Args:
        arch (str): A name in :data:`ARCHITECTURES`.
        window_size (int, optional): Side of the windows in all stages;
            by default the architecture's.
        drop_path_rate (float): Stochastic depth of the last block; it rises
            linearly from 0 at the first.
        gradient_checkpointing (bool): Recompute blocks in the backward pass
            instead of storing what they need.

    Attributes:
        out_channels (tuple[int]): Channels at strides 4, 8, 16 and 32.

    Raises:
        ValueError: If the architecture is not known.
    """

    def __init__(self,
                 arch: str = 'base',
                 window_size: Optional[int] = None,
                 drop_path_rate: float = 0.,
                 gradient_checkpointing: bool = False) -> None:
        super().__init__()
        if arch not in ARCHITECTURES:
            raise ValueError(f'no Swin architecture {arch!r}; choose one of '
                             f'{", ".join(ARCHITECTURES)}')
        facts = ARCHITECTURES[arch]
        self.arch = arch
        self.gradient_checkpointing = gradient_checkpointing
        self.out_channels = tuple(facts['dims'] << i for i in range(4))
        self.patch_embed = nn.Sequential()
        self.patch_embed.proj = nn.Linear(3 * PATCH**2, facts['dims'])
        self.patch_embed.norm = nn.LayerNorm(facts['dims'])
        depths = facts['depths']
        last = sum(depths) - 1
        rates = [drop_path_rate * block / last for block in range(last + 1)]
        self.stages = nn.ModuleList(
            SwinStage(
                dims,
                heads,
                window_size or facts['window'],
                [rates.pop(0) for _ in range(depth)],
                merge=i > 0) for i, (dims, heads, depth) in enumerate(
                    zip(self.out_channels, facts['heads'], depths)))
        self.norms = nn.ModuleList(map(nn.LayerNorm, self.out_channels))
        self.apply(_init_linear)

    def forward(self, images: Tensor, grid: TokenGrid) -> List[Tensor]:
        """Encode the tokens of a grid.

        Args:
            images (Tensor): ``(B, 3, H, W)``, standardised; H and W are
                multiples of 32, padding is zero.
            grid (TokenGrid): Which tokens exist.

        Returns:
            list[Tensor]: ``(B, n, C)`` tokens at strides 4, 8, 16 and 32 in
            the grid's order; those of padding are not meaningful.
        """
        x = self.patch_embed(grid.patches(images))
        x = grid.keep_valid(x, 0)
        outs = []
        for level, (stage, norm) in enumerate(zip(self.stages, self.norms)):
            x = stage(x, grid, level, self.gradient_checkpointing)
            outs.append(norm(x))
        return outs

    def extend_bias_rims(self) -> None:
        """Fill position biases that the training so far has not reached.

        Pre-training at 192 px shows stage 4 windows of 6×6 tokens only;
        larger images need offsets beyond. Call before larger images come.
        """
        for number, stage in enumerate(self.stages, 1):
            trained = int(stage.trained_extent)
            if 0 < trained < stage.window_size:
                for block in stage.blocks:
                    extend_rim(block.attn.relative_position_bias_table,
                               trained)
                stage.trained_extent.fill_(stage.window_size)
                logger.warning(
                    'stage %d: position biases, trained for windows of '
                    '%d×%d tokens, extended to %d×%d', number, trained,
                    trained, stage.window_size, stage.window_size)


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
