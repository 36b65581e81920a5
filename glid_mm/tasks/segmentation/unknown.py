"""Pixels whose label is not known: padding, and what annotators left out.

mmdet's Mask2Former takes them to be outside of every mask. Here ground truth
says :data:`UNKNOWN` there, which is so low that a target sampled between
pixels of both kinds is negative, too; negative targets take no part in
matching and losses.
"""
from typing import List, Union

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor, nn

UNKNOWN = -1000
# The logit of what is certainly outside.
_OUTSIDE = -30.


def known_points(targets: List[Tensor]) -> List[Union[Tensor, slice]]:
    """Which points of images are known, for all images at once.

    Args:
        targets (list[Tensor]): Of each image, ``(n, points)``, its masks;
            they agree on what is known.

    Returns:
        list[Tensor | slice]: Indices of points; all, if none is known.
    """
    known = torch.stack([(masks >= 0).all(0) for masks in targets])
    counts = known.sum(1).tolist()
    order = known.float().argsort(dim=1, descending=True, stable=True)
    return [
        places[:count] if 0 < count < len(places) else slice(None)
        for places, count in zip(order, counts)
    ]


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
        logits = logits.masked_fill(targets < 0, _OUTSIDE)
        return self.loss(logits, targets.clamp(min=0), **kwargs)


def silence_unknown(logits: Tensor, instances: List[InstanceData]) -> Tensor:
    """Have importance sampling pass by what lies far from known pixels.

    Args:
        logits (Tensor): ``(L, B, M, h, w)``, masks of each layer.
        instances (list[InstanceData]): Per image, with ``masks`` ``(n, H,
            W)``; all of an image agree on what is known.

    Returns:
        Tensor: Logits that are certain in cells that no known pixel is
        interpolated from. Images without masks have none.
    """
    known = torch.stack([
        masks[:1] >= 0 if len(masks) else masks.new_ones(
            (1, *masks.shape[1:]), dtype=torch.bool)
        for masks in (image.masks for image in instances)
    ])
    known = F.adaptive_max_pool2d(known.float(), logits.shape[-2:])
    far = F.max_pool2d(known, 3, stride=1, padding=1) == 0
    return logits.masked_fill(far, _OUTSIDE) if far.any() else logits
