"""Window attention with a relative position bias."""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import attend
from .rearrange import Rearrangement
from .relative_bias import Pairs


class WindowAttention(nn.Module):
    """Multi-head attention inside windows, as in Swin (eq. 4 there).

    Keys have no bias: it would add the same to all logits of a query, and
    its gradient would be rounding noise.

    Args:
        dims (int): Channels.
        num_heads (int): Heads.
        window_size (int): Side of the window, in tokens.
    """

    def __init__(self, dims: int, num_heads: int, window_size: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window_size = window_size
        self.qkv = nn.Linear(dims, 3 * dims, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dims))
        self.register_buffer('k_bias', torch.zeros(dims), persistent=False)
        self.v_bias = nn.Parameter(torch.zeros(dims))
        self.proj = nn.Linear(dims, dims)
        self.relative_position_bias_table = nn.Parameter(
            torch.empty((2 * window_size - 1)**2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=.02)

    def forward(self, x: Tensor, move: Optional[Rearrangement], pairs: Pairs,
                exists: Optional[Tensor]) -> Tensor:
        """Attend; see :class:`~.windows.Windows`.

        Args:
            x (Tensor): ``(B, n, dims)``.
            move (Rearrangement, optional): From tokens to window slots.
            pairs (Pairs): Of the slots that are attended to together.
            exists (Tensor, optional): Which slots hold a token.

        Returns:
            Tensor: ``(B, n, dims)``.
        """
        bias = torch.cat([self.q_bias, self.k_bias, self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias)
        if move is not None:
            qkv = move(qkv.view(-1, len(move.target), qkv.shape[-1]))
        groups = len(pairs.entry)
        q, k, v = qkv.view(-1, groups, pairs.size, 3, self.num_heads,
                           x.shape[-1] // self.num_heads).permute(
                               3, 0, 4, 1, 2, 5).flatten(2, 3)
        bias = pairs.bias(self.relative_position_bias_table, q.dtype)
        out = attend(q, k, v, bias[None], exists)
        out = out.unflatten(1, (self.num_heads, groups))
        out = out.permute(0, 2, 3, 1, 4).flatten(3)
        if move is not None:
            out = move.back(out.reshape(-1, len(move.source), x.shape[-1]))
        return self.proj(out.reshape(x.shape))
