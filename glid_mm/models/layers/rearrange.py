"""Move rows of tokens to other places, and their gradients back."""
from typing import NamedTuple, Optional

import torch
from torch import Tensor


class Rearrangement(NamedTuple):
    """A one-to-one move of ``n`` rows into ``m`` places.

    Attributes:
        source (Tensor): ``(m,)`` int64, the row that comes to each place.
        target (Tensor): ``(n,)`` int64, the place each row goes to.
        empty (Tensor | None): ``(m, 1)`` bool, places that no row comes to.
        dropped (Tensor | None): ``(n, 1)`` bool, rows that go nowhere.
    """

    source: Tensor
    target: Tensor
    empty: Optional[Tensor] = None
    dropped: Optional[Tensor] = None

    @classmethod
    def of(cls, target: Tensor, places: int) -> 'Rearrangement':
        """From the place of every row, −1 for rows that go nowhere."""
        rows = torch.arange(len(target), device=target.device)
        kept = target >= 0
        source = target.new_full((places, ), -1)
        source[target[kept]] = rows[kept]
        empty, dropped = source < 0, ~kept
        return cls(
            source.clamp(min=0), target.clamp(min=0),
            empty[:, None] if bool(empty.any()) else None,
            dropped[:, None] if bool(dropped.any()) else None)

    def reversed(self) -> 'Rearrangement':
        return Rearrangement(self.target, self.source, self.dropped,
                             self.empty)

    def __call__(self, rows: Tensor) -> Tensor:
        """``(R, n, C)`` -> ``(R, m, C)``; empty places are zero."""
        return _Move.apply(rows, *self)


class _Move(torch.autograd.Function):
    """Gather whose backward is the opposite gather, not a scatter-add.

    Each row is used at most once, so the two are equal; the gather is
    several times faster on CPU and deterministic on GPU.
    """

    @staticmethod
    def forward(ctx, rows, source, target, empty, dropped):
        ctx.save_for_backward(target, dropped)
        return _pick(rows, source, empty)

    @staticmethod
    def backward(ctx, grad):
        target, dropped = ctx.saved_tensors
        return _pick(grad, target, dropped), None, None, None, None


def _pick(rows: Tensor, index: Tensor, empty: Optional[Tensor]) -> Tensor:
    out = rows.index_select(1, index)
    return out if empty is None else out.masked_fill_(empty, 0)
