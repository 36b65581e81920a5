"""Move rows of tokens; the gradient is the inverse move."""
from typing import NamedTuple

import torch
from torch import Tensor


class Rearrangement(NamedTuple):
    """A one-to-one move of ``n`` rows into ``m ≥ n`` places and back.

    Attributes:
        target: ``(n,)`` int32, the destination of each row.
        source: ``(m,)`` int32, the row for each place.
        empty: ``(m, 1)`` bool, places without a row, if any.
    """

    target: Tensor
    source: Tensor
    empty: Tensor | None

    @classmethod
    def of(cls, target: Tensor, places: int) -> 'Rearrangement':
        """Build it for ``G`` groups of rows and places, stored consecutively.

        ``target`` is ``(G, n)``, the place of each row within its group.
        """
        groups, rows = target.shape
        start = torch.arange(groups, device=target.device)[:, None] * places
        target = (target + start).flatten()
        numbers = torch.arange(1, 1 + groups * rows, device=target.device)
        source = numbers.new_zeros(groups * places).scatter(0, target, numbers)
        empty = None if rows == places else (source == 0)[:, None]
        return cls(target.int(), (source - 1).clamp(min=0).int(), empty)

    def __call__(self, rows: Tensor) -> Tensor:
        """``(R, n, C)`` -> ``(R, m, C)``; empty places are zero."""
        return _Move.apply(rows, self.source, self.empty, self.target, None)

    def back(self, places: Tensor) -> Tensor:
        """``(R, m, C)`` -> ``(R, n, C)``."""
        return _Move.apply(places, self.target, None, self.source, self.empty)


class _Move(torch.autograd.Function):
    """A move whose backward is the opposite move, not a scatter-add.

    No row is used twice, so gradients agree; this is faster and deterministic.
    """

    @staticmethod
    def forward(ctx, rows, source, empty, target, dropped):
        ctx.save_for_backward(target, dropped)
        return _select(rows, source, empty)

    @staticmethod
    def backward(ctx, grad):
        return _select(grad, *ctx.saved_tensors), None, None, None, None


def _select(rows: Tensor, index: Tensor, empty: Tensor | None) -> Tensor:
    x = rows.index_select(1, index)
    # In PyTorch 2.11's graphs, filling in place loses the gradient.
    fill = x.masked_fill if torch.compiler.is_compiling() else x.masked_fill_
    return x if empty is None else fill(empty, 0)
