"""Pixels whose label is not known: padding, and what annotators left out.

mmdet's Mask2Former takes them to be outside of every mask. Here ground truth
says :data:`UNKNOWN` there, which is so low that a target sampled between
pixels of both kinds is negative, too; negative targets take no part in
matching and losses.
"""
from typing import List, Tuple

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor, nn

UNKNOWN = -1000
# The logit of what is certainly outside.
OUTSIDE = -30.


def known_points(targets: Tensor) -> Tensor:
    """Points whose targets are known, as many as there are points.

    Args:
        targets (Tensor): ``(n, points)`` of one image.

    Returns:
        Tensor: ``(points,)`` int64. Each known point is in it about as often
        as any other; how many these are remains with the device. All points
        are in it once if none is known.
    """
    known = (targets >= 0).all(0)
    first = known.int().argsort(descending=True, stable=True)
    count = known.sum()
    count = torch.where(count > 0, count, len(known))
    return first[torch.arange(len(known), device=known.device) % count]


class KnownPointsLoss(nn.Module):
    """A loss of mask logits, to which unknown points add nothing.

    Args:
        loss (nn.Module): A loss of mmdet that is 0 where logits are low and
            targets 0.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, targets: Tensor, **kwargs) -> Tensor:
        """Logits and targets are of the same shape."""
        logits = logits.masked_fill(targets < 0, OUTSIDE)
        return self.loss(logits, targets.clamp(min=0), **kwargs)


def far_from_known(instances: List[InstanceData], size: Tuple[int,
                                                              int]) -> Tensor:
    """Cells that no known pixel is interpolated from.

    Whatever is predicted there, importance sampling should pass by.

    Args:
        instances (list[InstanceData]): Per image, with ``masks`` ``(n, H,
            W)``; all of an image agree on what is known.
        size (tuple[int, int]): h and w of mask logits.

    Returns:
        Tensor: ``(B, h, w)`` bool. Images without masks have no such cells.
    """
    known = torch.stack([
        masks[:1] >= 0 if len(masks) else masks.new_ones(
            (1, *masks.shape[1:]), dtype=torch.bool)
        for masks in (image.masks for image in instances)
    ])
    known = F.adaptive_max_pool2d(known.float(), size)
    return F.max_pool2d(known, 3, stride=1, padding=1)[:, 0] == 0
