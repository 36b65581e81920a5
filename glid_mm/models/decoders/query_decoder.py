"""The query decoder: queries attend to multi-scale memory and each other."""
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..layers.attention import Attention
from ..layers.basics import MLP, DropPath, LayerNorm

#: For each level: tokens ``(B, n, dims)``, their positions ``(G, n, dims)``,
#: of image ``b`` in row ``b % G``, and ``(B, n)`` bool, False at padding, if
#: any.
Memory = Sequence[tuple[Tensor, Tensor, Tensor | None]]
#: Maps a layer's output, ``(B, M, dims)``, and the index of the next layer's
#: level to the tokens that each query may read, ``(B, 1, M, n)`` bool.
Focus = Callable[[Tensor, int], Tensor]


class DecoderLayer(nn.Module):
    """Cross-attention, self-attention, feed-forward network; pre-norm."""

    def __init__(self, dims: int, memory_dims: int, num_heads: int,
                 ffn_dims: int, drop_path_rate: float) -> None:
        super().__init__()
        self.norm1 = LayerNorm(dims)
        self.cross_attn = Attention(dims, num_heads, memory_dims)
        self.norm2 = LayerNorm(dims)
        self.self_attn = Attention(dims, num_heads, dims)
        self.norm3 = LayerNorm(dims)
        self.mlp = MLP(dims, ffn_dims)
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor, key: Tensor, value: Tensor,
                exists: Tensor | None) -> Tensor:
        x = x + self.drop_path(
            self.cross_attn(self.norm1(x), key, value, exists))
        own = self.norm2(x)
        x = x + self.drop_path(self.self_attn(own, own, own, None))
        return x + self.drop_path(self.mlp(self.norm3(x)))


class QueryDecoder(nn.Module):
    """Layers that read strides 32, 16 and 8 in turn, as in Mask2Former.

    Args:
        memory_dims: Channels of the memory.
        dims: Channels of queries.
        num_layers: Decoder layers.
        num_heads: Attention heads.
        ffn_dims: Hidden channels of the feed-forward networks, by default 4 ×
            dims.
        drop_path_rate: Stochastic depth.
        value_positions: Add positions to values, as to keys.
        gradient_checkpointing: Recompute layers in the backward pass.
    """

    def __init__(self,
                 memory_dims: int = 256,
                 dims: int = 512,
                 num_layers: int = 6,
                 num_heads: int = 16,
                 ffn_dims: int | None = None,
                 drop_path_rate: float = 0.,
                 value_positions: bool = False,
                 gradient_checkpointing: bool = False) -> None:
        super().__init__()
        self.dims = dims
        self.value_positions = value_positions
        self.gradient_checkpointing = gradient_checkpointing
        self.level_embed = nn.Parameter(torch.zeros(3, memory_dims))
        nn.init.trunc_normal_(self.level_embed, std=.02)
        self.layers = nn.ModuleList(
            DecoderLayer(dims, memory_dims, num_heads, ffn_dims or 4 *
                         dims, drop_path_rate) for _ in range(num_layers))
        self.norm = LayerNorm(dims)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self,
                queries: Tensor,
                memory: Memory,
                every_layer: bool = True,
                focus: Focus | None = None) -> Tensor:
        """Decode queries.

        Args:
            queries: ``(B, M, dims)``, content + position.
            memory: Tokens of strides 32, 16 and 8.
            every_layer: Return all layers' outputs, not only the last.
            focus: Limits the attention of queries after the first layer; by
                default no limit.

        Returns:
            ``(layers or 1, B, M, dims)``, normalised.
        """
        levels = []
        for (tokens, position, valid), embed in zip(memory, self.level_embed):
            value = tokens + embed
            key = value.unflatten(0, (-1, position.shape[0])) + position
            key = key.flatten(0, 1)
            levels.append((key, key if self.value_positions else value, valid))
        x, outs = queries, []
        for index, layer in enumerate(self.layers):
            level = index % len(levels)
            key, value, seen = levels[level]
            if focus and index:
                seen = focus(self.norm(x), level)
            inputs = x, key, value, seen
            if self.gradient_checkpointing and self.training:
                x = checkpoint(layer, *inputs, use_reentrant=False)
            else:
                x = layer(*inputs)
            outs.append(x)
        return self.norm(torch.stack(outs if every_layer else outs[-1:]))
