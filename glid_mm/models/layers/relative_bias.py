"""The bias of every pair of tokens from a table of relative positions."""
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Fused GPU kernels need rows of a bias to begin at multiples of this.
_ALIGNMENT = 8


class Pairs(NamedTuple):
    """Table entries of all token pairs.

    Attributes:
        entry: ``(g, m, m')`` int32, row of the table for query (row) and key
            (column), or the table's length where the key is in another window;
            columns from ``m`` on are padding.
        size: ``m``, tokens of an attention.
        place: ``(g, m, w²)`` bool, one-hot place of each token in its window;
            None if token ``i`` has place ``i``.
        members: ``((2w−1)², k)`` int32, the pairs of places that use each
            entry.
    """

    entry: Tensor
    size: int
    place: Tensor | None
    members: Tensor

    @classmethod
    @torch.inference_mode(False)
    def of(cls, place: Tensor, cell: Tensor | None, window: int) -> 'Pairs':
        """Build pairs of tokens in a joint attention.

        ``place`` is ``(g, m)``, row · w + column of each token in its window
        of side w; ``cell`` is its window, None if all share one.
        """
        size, rows = place.shape[1], (2 * window - 1)**2
        entry = _entries(place, window)
        if cell is not None:
            entry = torch.where(cell[:, :, None] == cell[:, None], entry, rows)
        entry = F.pad(entry, (0, -size % _ALIGNMENT), value=rows)
        hot = None
        if len(place) > 1 or size != window**2 or cell is not None:
            numbers = torch.arange(window**2, device=place.device)
            hot = place[..., None] == numbers
        return cls(entry.int(), size, hot, _members(window, place.device))

    def bias(self, table: Tensor, dtype: torch.dtype) -> Tensor:
        """``((2w−1)², heads)`` -> ``(heads · g, m, m)`` of a type."""
        return _Bias.apply(table, dtype, *self).flatten(0, 1)


class _Bias(torch.autograd.Function):
    """Look up the table entries of pairs.

    The gradient uses products with one-hot places and lists of fixed length
    instead of the sorting or atomic additions of indexing, so it is fast and
    deterministic on GPUs.
    """

    @staticmethod
    def forward(ctx, table, dtype, entry, size, place, members):
        ctx.save_for_backward(place, members)
        ctx.dtype = table.dtype
        values = F.pad(table.t(), (0, 1), value=-torch.inf).to(dtype)
        bias = values.index_select(1, entry.flatten())
        return bias.view(-1, *entry.shape)[..., :size]

    @staticmethod
    def backward(ctx, grad):
        place, members = ctx.saved_tensors
        if place is not None:
            # (heads, g, m, m) -> (heads, w², w²)
            place = place.to(grad.dtype)
            grad = torch.matmul(grad, place).flatten(1, 2)
            grad = torch.matmul(place.flatten(0, 1).t(), grad)
        grad = F.pad(grad.flatten(1), (0, 1))
        grad = grad.index_select(1, members.flatten())
        grad = grad.view(-1, *members.shape).sum(-1, dtype=ctx.dtype)
        return grad.t(), None, None, None, None, None


def _entries(place: Tensor, window: int) -> Tensor:
    """``(..., m)`` places -> ``(..., m, m)`` rows of the table."""
    wide = 2 * window - 1
    key = place // window * wide + place % window
    return (key + (wide + 1) * (window - 1))[..., None] - key[..., None, :]


@lru_cache(maxsize=None)
@torch.inference_mode(False)
def _members(window: int, device: torch.device) -> Tensor:
    """Pairs of places by table entry, padded with ``w⁴``."""
    entry = _entries(torch.arange(window**2), window).flatten()
    entry, order = entry.sort(stable=True)
    rank = torch.arange(window**4) - torch.searchsorted(entry, entry)
    members = torch.full(((2 * window - 1)**2, window**2), window**4)
    members[entry, rank] = order
    return members.int().to(device)
