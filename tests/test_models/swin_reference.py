"""Swin as in its paper, on maps: roll, partition, mask, reverse.

Slow, simple and independent of the package: a reference for visible-only and
padded encoding.
"""
from functools import lru_cache

import torch
import torch.nn.functional as F


def windows_of(x, w):
    """``(B, H, W, C)`` -> ``(B, nH, nW, w·w, C)``."""
    b, h, wd, c = x.shape
    x = x.view(b, h // w, w, wd // w, w, c).transpose(2, 3)
    return x.reshape(b, h // w, wd // w, w * w, c)


def maps_of(x, w):
    """Inverse of :func:`windows_of`."""
    b, nh, nw, _, c = x.shape
    x = x.view(b, nh, nw, w, w, c).transpose(2, 3)
    return x.reshape(b, nh * w, nw * w, c)


@lru_cache
def relative_index(w):
    index = torch.zeros(w * w, w * w, dtype=torch.int64)
    for i in range(w * w):
        for j in range(w * w):
            dy, dx = i // w - j // w, i % w - j % w
            index[i, j] = (dy + w - 1) * (2 * w - 1) + dx + w - 1
    return index


def attention(attn, x, exists, shifted):
    """``(B, H, W, C)``; ``exists`` ``(B, H, W)`` marks tokens that exist."""
    w, heads = attn.window_size, attn.num_heads
    b, h, wd, c = x.shape
    shift = [w // 2 if shifted and n > w else 0 for n in (h, wd)]
    pad = (0, 0, 0, -wd % w, 0, -h % w)
    x = F.pad(x, pad)
    exists = F.pad(exists, pad[2:])
    region = torch.zeros(x.shape[1:3])
    for axis, n in enumerate(x.shape[1:3]):
        index = torch.arange(n)
        part = (index >= n - w).int() + (index >= n - shift[axis]).int()
        part = part if shift[axis] else torch.zeros(n, dtype=torch.int)
        region += 3**axis * (part[:, None] if axis == 0 else part[None])
    # ``region`` belongs to the rolled map, as in Swin.
    x = x.roll([-s for s in shift], (1, 2))
    exists = exists.roll([-s for s in shift], (1, 2))

    q, k, v = windows_of(attn.qkv(x), w).chunk(3, -1)
    q, v = q + attn.q_bias, v + attn.v_bias
    region = windows_of(region[None, :, :, None], w)[..., 0]
    exists = windows_of(exists[..., None], w)[..., 0]
    allowed = region[..., :, None] == region[..., None, :]
    allowed = allowed & exists[..., None, :]
    allowed = allowed | torch.eye(w * w, dtype=torch.bool)
    out = []
    size = c // heads
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        logits = q[..., part] @ k[..., part].transpose(-1, -2) / size**.5
        table = attn.relative_position_bias_table[:, head]
        logits = logits + table[relative_index(w)]
        logits = logits.masked_fill(~allowed, -torch.inf)
        out.append(logits.softmax(-1) @ v[..., part])
    out = maps_of(torch.cat(out, -1), w)
    out = out.roll(shift, (1, 2))[:, :h, :wd]
    return attn.proj(out)


def encode(encoder, images, exists):
    """Stage maps ``(B, H, W, C)``; ``exists`` is ``(B, H/4, W/4)`` bool.

    Tokens that do not exist are computed but are never keys, and are zero in
    patch merging.
    """
    weight = encoder.patch_embed.proj.weight.view(-1, 3, 4, 4)
    x = F.conv2d(images, weight, encoder.patch_embed.proj.bias, stride=4)
    x = encoder.patch_embed.norm(x.permute(0, 2, 3, 1))
    outs = []
    for stage, norm in zip(encoder.stages, encoder.norms):
        x = x * exists[..., None]
        if outs:
            x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
            exists = F.pad(exists,
                           (0, exists.shape[2] % 2, 0, exists.shape[1] % 2))
            corners = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
            merge = stage.downsample
            x = merge.reduction(merge.norm(torch.cat(corners, -1)))
            exists = F.max_pool2d(exists[:, None].to(x.dtype), 2)[:, 0] > 0
        for i, block in enumerate(stage.blocks):
            x = x + attention(block.attn, block.norm1(x), exists, i % 2 == 1)
            x = x + block.mlp(block.norm2(x))
        outs.append((norm(x), exists))
    return outs
