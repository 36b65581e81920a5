"""Scaled dot-product attention."""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

# Channels that tell which keys do not exist: one would do, and fused
# kernels want multiples of eight.
_EXTRA = 8
# What is added to a logit so that its key has no weight, in fp16 too.
_ABSENT = -1e4


def attend(q: Tensor,
           k: Tensor,
           v: Tensor,
           bias: Optional[Tensor] = None,
           exists: Optional[Tensor] = None) -> Tensor:
    """PyTorch's fused attention.

    On CPUs it is in fp32: their kernels of half precision take longer, up to
    five times in training.

    Args:
        q (Tensor): ``(B, heads, M, channels)``.
        k (Tensor): ``(B, heads, n, channels)``.
        v (Tensor): ``(B, heads, n, channels)``.
        bias (Tensor, optional): Broadcasts to ``(B, heads, M, n)``: bool,
            True where attention is allowed, or what to add to the logits.
        exists (Tensor, optional): ``(b, n)`` bool, False at keys that are
            not to be attended to, of image ``i`` in row ``i % b``. It needs
            no bias of every image's own: keys have a further channel.

    Returns:
        Tensor: ``(B, heads, M, channels)`` in the type of ``q``.
    """
    dtype, scale = q.dtype, q.shape[-1]**-.5
    if exists is not None:
        absent = (~exists).to(k.dtype) * (_ABSENT / scale)
        absent = F.pad(absent[:, None, :, None], (0, _EXTRA - 1))
        absent = absent.repeat(k.shape[0] // len(exists), 1, 1, 1)
        k = torch.cat([k, absent.expand(-1, k.shape[1], -1, -1)], -1)
        q = F.pad(q, (0, _EXTRA), value=1.)
    if not (q.is_cpu and dtype in (torch.bfloat16, torch.float16)):
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=bias, scale=scale)
    # Autocast would bring them back to half precision.
    with torch.autocast('cpu', enabled=False):
        if bias is not None and bias.dtype != torch.bool:
            bias = bias.float()
        return F.scaled_dot_product_attention(
            q.float(), k.float(), v.float(), attn_mask=bias,
            scale=scale).to(dtype)
