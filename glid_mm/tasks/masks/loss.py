"""Mask2Former's matching and losses, with support for unknown pixels.

It is plain PyTorch. Unknown pixels (padding, crowds, unlabelled pixels) are
ignored: costs and losses use only known points.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...engine.randomness import image_generators
from ..common import losses_by_layer, mean_over_processes, upload
from ..matching import fetch, match

# A logit that importance sampling never selects.
CERTAIN = 1e4


class MaskTargets(NamedTuple):
    """Ground truth of the images of a batch.

    Maps cover the same area as mask logits, with ``H / h`` pixels per cell.

    Attributes:
        labels: ``(N,)`` int64, classes of the masks of all images, image by
            image.
        masks: ``(N, H, W)`` bool.
        counts: Number of masks of each of the B images.
        known: ``(B, H, W)`` bool, False at unknown pixels.
        sizes: Height and width of each image without its padding; points lie
            inside.
    """

    labels: Tensor
    masks: Tensor
    counts: list[int]
    known: Tensor
    sizes: Sequence[tuple[int, int]]


class MaskLoss(nn.Module):
    """Hungarian matching, and the losses of classes and matched masks.

    A mask's loss is the mean over points: three quarters are where the mask is
    uncertain, the others are random, as in Mask2Former
    (https://arxiv.org/abs/2112.01527). The losses of a batch are means over
    the joint batch of all processes; an image's points depend neither on the
    process that has it nor on its padding. It waits for the device once: a
    single copy brings the costs of all layers and images to the host.

    Args:
        num_classes: Number of classes.
        num_points: Number of points per mask.
        oversample_ratio: Candidates per point; the most uncertain candidates
            are kept.
        importance_sample_ratio: Share of uncertain points.
        class_weight: Weight of cross entropy of classes.
        mask_weight: Weight of binary cross entropy of masks.
        dice_weight: Weight of the dice loss of masks.
        no_object_weight: Weight of the class "no object".
    """

    def __init__(self,
                 num_classes: int,
                 num_points: int = 12544,
                 oversample_ratio: float = 3.,
                 importance_sample_ratio: float = .75,
                 class_weight: float = 2.,
                 mask_weight: float = 5.,
                 dice_weight: float = 5.,
                 no_object_weight: float = .1) -> None:
        super().__init__()
        self.num_points = num_points
        self.oversample_ratio = oversample_ratio
        self.importance_sample_ratio = importance_sample_ratio
        self.class_weight = class_weight
        self.mask_weight = mask_weight
        self.dice_weight = dice_weight
        weights = [1.] * num_classes + [no_object_weight]
        self.register_buffer(
            'class_weights', torch.tensor(weights), persistent=False)

    def forward(self, scores: Tensor, masks: Tensor,
                targets: MaskTargets) -> dict:
        """Losses of all decoder layers.

        They are at least in fp32: matching costs in half precision overflow
        and tie.

        Args:
            scores: ``(L, B, M, K + 1)`` logits of classes.
            masks: ``(L, B, M, h, w)`` logits.
            targets: The ground truth.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_mask`` and ``loss_dice`` of
            the last layer, and ``d0.loss_cls`` and so on of earlier layers.

        Raises:
            CostsError: If matching costs are not finite.
        """
        device = scores.device
        generators = image_generators(len(targets.counts), device)
        inside = np.divide(targets.sizes, targets.masks.shape[-2:])[:, ::-1]
        inside = upload(inside.astype(np.float32), device)
        with torch.autocast(device.type, enabled=False):
            wide = torch.promote_types(scores.dtype, torch.float32)
            scores, masks = scores.to(wide), masks.to(wide)
            unknown = ~targets.known
            costs = self.costs(scores, masks, targets, unknown, inside,
                               generators)
            return self.losses(scores, masks, targets, unknown, inside,
                               match(costs), generators)

    @torch.no_grad()
    def costs(self, scores: Tensor, masks: Tensor, targets: MaskTargets,
              unknown: Tensor, inside: Tensor,
              generators: list[torch.Generator]) -> list[np.ndarray]:
        """Costs of matching masks and queries, at random points.

        Args:
            scores, masks, targets: See :meth:`forward`.
            unknown: The inverse of ``known``.
            inside: ``(B, 2)``, the shares of width and height without padding.
            generators: One for each image.

        Returns:
            Costs ``(n, L, M)`` of each image.
        """
        layers, _, queries = scores.shape[:3]
        costs, first = [], 0
        for i, count in enumerate(targets.counts):
            own, first = slice(first, first + count), first + count
            if not count:
                costs.append(scores.new_empty(0, layers, queries))
                continue
            points = torch.rand(
                1,
                self.num_points,
                2,
                generator=generators[i],
                device=scores.device) * inside[i]
            # Costs relate one query to one mask, so the queries of all layers
            # form one list.
            logits = sample(masks[:, i].flatten(0, 1)[None], points)[0]
            every = torch.arange(count, device=scores.device)[:, None]
            known = read(unknown[i][None], every[:1], points)[0] == 0
            truth = read(targets.masks[own], every, points) * known
            known = known.to(logits.dtype)
            number = known.sum().clamp(min=1)
            truth = truth.to(logits.dtype)
            entropy = (F.softplus(logits) @ known)[:,
                                                   None] - logits @ truth.t()
            chance = logits.sigmoid()
            overlap = 2 * chance @ truth.t() + 1
            total = (chance @ known)[:, None] + truth.sum(1) + 1
            chance = scores[:, i].softmax(-1).flatten(0, 1)
            cost = (
                self.mask_weight * entropy / number + self.dice_weight *
                (1 - overlap / total) -
                self.class_weight * chance[:, targets.labels[own]])
            costs.append(cost.t().unflatten(1, (layers, queries)))
        return fetch(costs)

    def losses(self, scores: Tensor, masks: Tensor, targets: MaskTargets,
               unknown: Tensor, inside: Tensor, pairs: np.ndarray,
               generators: list[torch.Generator]) -> dict:
        """Losses of matched pairs.

        Args:
            scores, masks, targets, unknown, inside, generators: See
                :meth:`costs`.
            pairs: ``(3, L, P)``, see :func:`match`.

        Returns:
            dict[str, Tensor]: See :meth:`forward`.
        """
        _, layers, count = pairs.shape
        image, query, found = upload(pairs, scores.device)
        layer = torch.arange(layers, device=scores.device)[:, None]
        classes = torch.full(
            scores.shape[:3],
            len(self.class_weights) - 1,
            device=scores.device)
        classes[layer, image, query] = targets.labels[found]
        class_weights = self.class_weights.to(scores.dtype)
        cls = F.cross_entropy(
            scores.flatten(0, 2),
            classes.flatten(),
            class_weights,
            reduction='none').reshape(layers, -1).sum(1)
        weights = class_weights[classes].flatten(1).sum(1)
        # Images without masks count as one, as in Mask2Former.
        number = np.array([count + targets.counts.count(0)], np.float32)
        weights, number = mean_over_processes(
            torch.cat((weights, upload(number, scores.device)))).split(
                (layers, 1))
        matched = masks[layer, image, query]
        if count:
            each = np.bincount(pairs[0, 0], minlength=len(targets.counts))
            points = self._points(matched, far_from(targets.known, masks),
                                  image, inside, each.tolist(), generators)
            logits = sample(matched.flatten(0, 1)[:, None], points)[:, 0]
            known = read(unknown, image.flatten()[:, None], points) == 0
            truth = read(targets.masks,
                         found.flatten()[:, None], points) * known
            mask = F.binary_cross_entropy_with_logits(
                logits, truth.to(logits.dtype), reduction='none') * known
            mask = mask.sum(1) / known.sum(1).clamp(min=1)
            chance = logits.sigmoid() * known
            dice = 1 - (2 * (chance * truth).sum(1) + 1) / (
                chance.sum(1) + truth.sum(1) + 1)
        else:
            mask = dice = matched.sum((2, 3))
        return losses_by_layer(
            loss_cls=self.class_weight * cls /
            weights.clamp(min=torch.finfo(weights.dtype).eps),
            loss_mask=self.mask_weight * mask.reshape(layers, -1).sum(1) /
            number,
            loss_dice=self.dice_weight * dice.reshape(layers, -1).sum(1) /
            number)

    @torch.no_grad()
    def _points(self, logits: Tensor, far: Tensor, image: Tensor,
                inside: Tensor, counts: list[int],
                generators: list[torch.Generator]) -> Tensor:
        """Draw points of masks, most of them where the mask is uncertain.

        Args:
            logits: ``(L, P, h, w)``, masks image by image.
            far: ``(B, h, w)`` bool, True if nothing is known.
            image: ``(L, P)``, the image of each mask.
            inside: ``(B, 2)``.
            counts: Number of masks of each image.
            generators: One for each image.

        Returns:
            ``(L · P, points, 2)``, x and y as fractions.
        """

        def draw(points: int) -> Tensor:
            return torch.cat([
                torch.rand(
                    len(logits),
                    count,
                    points,
                    2,
                    generator=generator,
                    device=logits.device) * part
                for count, generator, part in zip(counts, generators, inside)
            ], 1).flatten(0, 1)

        unsure = int(self.importance_sample_ratio * self.num_points)
        points = draw(int(self.oversample_ratio * self.num_points))
        logits = logits.masked_fill(far[image], CERTAIN)
        certainty = sample(logits.flatten(0, 1)[:, None], points)[:, 0].abs()
        places = certainty.topk(unsure, largest=False).indices
        points = points.gather(1, places[..., None].expand(-1, -1, 2))
        return torch.cat([points, draw(self.num_points - unsure)], 1)


def sample(maps: Tensor, points: Tensor) -> Tensor:
    """Values of maps at points, bilinear; 0 beyond the border.

    Args:
        maps: ``(n, C, h, w)``.
        points: ``(n, P, 2)``, x and y as fractions.

    Returns:
        ``(n, C, P)``.
    """
    grid = (2 * points - 1).to(maps.dtype)[:, :, None]
    return F.grid_sample(maps, grid, align_corners=False)[..., 0]


def read(maps: Tensor, index: Tensor, points: Tensor) -> Tensor:
    """The result of :func:`sample` for maps of 0 and 1, without copying them.

    Args:
        maps: ``(N, H, W)`` bool.
        index: ``(n, 1)`` int64, index of the map.
        points: ``(n, P, 2)``, or ``(1, P, 2)`` for all.

    Returns:
        ``(n, P)``, of the type of the points.
    """
    height, width = maps.shape[-2:]
    x, y = points[..., 0] * width - .5, points[..., 1] * height - .5
    left, top = x.floor(), y.floor()
    value = 0
    for row, tall in (top, top + 1 - y), (top + 1, y - top):
        for column, wide in (left, left + 1 - x), (left + 1, x - left):
            there = (row >= 0) & (row < height) & (column >= 0) & (
                column < width)
            found = maps[index,
                         row.clamp(0, height - 1).long(),
                         column.clamp(0, width - 1).long()]
            value = value + tall * wide * (found & there)
    return value


def far_from(known: Tensor, masks: Tensor) -> Tensor:
    """Cells of mask logits that do not affect any known pixel.

    Args:
        known: ``(B, H, W)`` bool.
        masks: ``(..., h, w)``.

    Returns:
        ``(B, h, w)`` bool.
    """
    known = F.adaptive_max_pool2d(known[:, None].float(), masks.shape[-2:])
    return F.max_pool2d(known, 3, stride=1, padding=1)[:, 0] == 0
