"""Scaled dot-product attention."""
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(q: Tensor,
           k: Tensor,
           v: Tensor,
           mask: Optional[Tensor] = None) -> Tensor:
    """PyTorch's fused attention.

    On CPUs it is in fp32: their kernels of half precision take longer, up to
    five times in training.

    Args:
        q (Tensor): ``(..., M, channels)``.
        k (Tensor): ``(..., n, channels)``.
        v (Tensor): ``(..., n, channels)``.
        mask (Tensor, optional): Broadcasts to ``(..., M, n)``: bool, True
            where attention is allowed, or a bias to add to the logits.

    Returns:
        Tensor: ``(..., M, channels)`` in the type of ``q``.
    """
    if not (q.is_cpu and q.dtype in (torch.bfloat16, torch.float16)):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    # Autocast would bring them back to half precision.
    with torch.autocast('cpu', enabled=False):
        if mask is not None and mask.dtype != torch.bool:
            mask = mask.float()
        return F.scaled_dot_product_attention(
            q.float(), k.float(), v.float(), attn_mask=mask).to(q.dtype)
