"""Attention: to all keys, and inside windows."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .rearrange import Rearrangement
from .relative_bias import Pairs

# Additional channels for absent keys; fused kernels need multiples of eight.
_EXTRA = 8
# Added to a logit to give its key no weight, in fp16 too.
_ABSENT = -1e4


def attend(q: Tensor,
           k: Tensor,
           v: Tensor,
           bias: Tensor | None = None,
           exists: Tensor | None = None) -> Tensor:
    """PyTorch's fused attention; masks absent keys without a bias per image.

    On CPUs it runs in fp32, because half-precision kernels are slower there,
    up to five times in training.

    ``(B, heads, M, channels)`` attend to ``(B, heads, n, channels)``. The
    bias is added to the logits ``(B, heads, M, n)``. ``exists`` is ``(b, n)``,
    False at excluded keys; image ``i`` uses row ``i % b``. Or it is
    ``(B, 1, M, n)``, per query, instead of a bias.
    """
    dtype, scale = q.dtype, q.shape[-1]**-.5
    if exists is not None and exists.dim() == 4:
        bias, exists = (~exists).to(dtype) * _ABSENT, None
    if exists is not None:
        # Use `shape`: `len` would fix the batch size of a traced graph.
        absent = (~exists).to(k.dtype) * (_ABSENT / scale)
        absent = F.pad(absent[:, None, :, None], (0, _EXTRA - 1))
        absent = absent.repeat(k.shape[0] // exists.shape[0], 1, 1, 1)
        k = torch.cat([k, absent.expand(-1, k.shape[1], -1, -1)], -1)
        q = F.pad(q, (0, _EXTRA), value=1.)
    if not (q.is_cpu and dtype in (torch.bfloat16, torch.float16)):
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=bias, scale=scale)
    # Autocast would bring them back to half precision.
    with torch.autocast('cpu', enabled=False):
        bias = bias if bias is None else bias.float()
        return F.scaled_dot_product_attention(
            q.float(), k.float(), v.float(), bias, scale=scale).to(dtype)


class Attention(nn.Module):
    """Multi-head attention. Keys have no bias; it would have no effect."""

    def __init__(self, dims: int, num_heads: int, key_dims: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dims, dims)
        self.k = nn.Linear(key_dims, dims, bias=False)
        self.v = nn.Linear(key_dims, dims)
        self.proj = nn.Linear(dims, dims)

    def forward(self, query: Tensor, key: Tensor, value: Tensor,
                exists: Tensor | None) -> Tensor:
        """``(B, M, dims)`` read ``(B, n, key_dims)``; see :func:`attend`."""
        q, k, v = (
            t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for t in (self.q(query), self.k(key), self.v(value)))
        out = attend(q, k, v, exists=exists)
        return self.proj(out.transpose(1, 2).flatten(2))


class WindowAttention(nn.Module):
    """Attention inside windows, as in Swin (eq. 4); keys have no bias."""
    k_bias: Tensor

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

    def forward(self, x: Tensor, move: Rearrangement | None, pairs: Pairs,
                exists: Tensor | None) -> Tensor:
        """``(B, n, dims)`` in and out; see :class:`~.windows.Windows`."""
        bias = torch.cat([self.q_bias, self.k_bias, self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias)
        if move is not None:
            qkv = move(qkv.view(-1, move.target.shape[0], qkv.shape[-1]))
        groups = len(pairs.entry)
        q, k, v = qkv.view(-1, groups, pairs.size, 3, self.num_heads,
                           x.shape[-1] // self.num_heads).permute(
                               3, 0, 4, 1, 2, 5).flatten(2, 3)
        bias = pairs.bias(self.relative_position_bias_table, q.dtype)
        out = attend(q, k, v, bias[None], exists)
        out = out.unflatten(1, (self.num_heads, groups))
        out = out.permute(0, 2, 3, 1, 4).flatten(3)
        if move is not None:
            out = move.back(out.reshape(-1, move.source.shape[0], x.shape[-1]))
        return self.proj(out.reshape(x.shape))
