"""Depth from bins, one bin per query (paper eq. 5 to 7)."""
import torch
from torch import Tensor

# Minimum share of each bin regardless of logits: no bin is ever empty, so
# centres stay distinct and every length keeps learning.
SHARED = 1e-3


def bin_lengths(logits: Tensor) -> Tensor:
    """Lengths of bins as shares of the range of depth.

    Args:
        logits: ``(..., M)``, one per query.

    Returns:
        ``(..., M)``, positive, summing to 1; at least fp32.
    """
    lengths = _at_least_fp32(logits).softmax(-1)
    return lengths * (1 - SHARED) + SHARED / logits.shape[-1]


def bin_centres(lengths: Tensor, min_depth: float, max_depth: float) -> Tensor:
    """Centres of bins laid end to end over the range (eq. 5).

    Args:
        lengths: ``(..., M)``, from :func:`bin_lengths`.
        min_depth: Start of the first bin.
        max_depth: End of the last bin.

    Returns:
        ``(..., M)`` in the unit of the range, ascending.
    """
    shares = lengths.cumsum(-1) - lengths / 2
    return min_depth + (max_depth - min_depth) * shares


def expected_depth(centres: Tensor, embeddings: Tensor,
                   mask_features: Tensor) -> Tensor:
    """Depth of every pixel: the mean of the centres over its bins.

    Args:
        centres: ``(L, B, M)``.
        embeddings: Embeddings of bins, ``(L, B, M, C)``.
        mask_features: ``(B, C, h, w)``.

    Returns:
        ``(L, B, h, w)`` in the unit of the centres, at least fp32 (eq. 6 and
        7).
    """
    return torch.einsum('lbmhw,lbm->lbhw', bin_shares(embeddings,
                                                      mask_features),
                        _at_least_fp32(centres))


def bin_shares(embeddings: Tensor, mask_features: Tensor) -> Tensor:
    """Share of every pixel in each bin (eq. 6).

    Args:
        embeddings: Embeddings of bins, ``(L, B, M, C)``.
        mask_features: ``(B, C, h, w)``.

    Returns:
        ``(L, B, M, h, w)``, at least fp32, with a sum of 1 over bins.
    """
    logits = torch.einsum('lbmc,bchw->lbmhw', _at_least_fp32(embeddings),
                          _at_least_fp32(mask_features))
    return logits.softmax(2)


def _at_least_fp32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
