"""Pixels whose label is not known: padding, and what annotators left out.

mmdet's Mask2Former takes them to be outside of every mask. Here ground truth
says :data:`UNKNOWN` there, which is so low that a target sampled between
pixels of both kinds is negative, too; negative targets take no part in
matching and losses.
"""
from typing import List

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor, nn

UNKNOWN = -1000
# The logit of what is certainly outside.
_OUTSIDE = -30.


class KnownPointsAssigner:
    """Match masks by the points whose targets are known.

    Args:
        assigner (BaseAssigner): An assigner of mmdet.
    """

    def __init__(self, assigner) -> None:
        self.assigner = assigner

    def assign(self, pred_instances: InstanceData, gt_instances: InstanceData,
               img_meta: dict):
        """Assign ground truth to predictions; masks are ``(n, points)``."""
        known = (gt_instances.masks >= 0).all(0)
        if known.any():
            pred_instances.masks = pred_instances.masks[:, known]
            gt_instances.masks = gt_instances.masks[:, known]
        return self.assigner.assign(pred_instances, gt_instances, img_meta)


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


def silence_unknown(logits: List[Tensor],
                    instances: List[InstanceData]) -> List[Tensor]:
    """Have importance sampling pass by what lies far from known pixels.

    Args:
        logits (list[Tensor]): ``(B, M, h, w)`` mask logits of each layer.
        instances (list[InstanceData]): Per image, with ``masks`` ``(n, H,
            W)``; all of an image agree on what is known.

    Returns:
        list[Tensor]: Logits that are certain in cells that no known pixel is
        interpolated from. Images without masks have none.
    """
    known = torch.stack([
        masks[:1] >= 0 if len(masks) else masks.new_ones(
            (1, *masks.shape[1:]), dtype=torch.bool)
        for masks in (image.masks for image in instances)
    ])
    known = F.adaptive_max_pool2d(known.float(), logits[0].shape[-2:])
    far = F.max_pool2d(known, 3, stride=1, padding=1) == 0
    return [layer.masked_fill(far, _OUTSIDE) for layer in logits]
