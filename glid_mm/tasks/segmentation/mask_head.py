"""Mask classification on GLID's output: masks and classes from queries."""
from typing import Dict, List, Optional, Tuple

import numpy as np
import torch
from mmcv.ops import point_sample
from mmdet.models.dense_heads import Mask2FormerHead
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.registry import TASK_UTILS as MMDET_TASK_UTILS
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...engine.randomness import image_generators
from ...errors import UserError
from ...models import GLIDOutput
from ...registry import MODELS
from ..common import mean_over_processes, upload
from ..matching import assign, fetch
from .unknown import KnownPointsLoss, known_points, silence_unknown

# Mask2Former's matching and point sampling.
MATCHING = dict(
    num_points=12544,
    oversample_ratio=3.,
    importance_sample_ratio=.75,
    assigner=dict(
        type='mmdet.HungarianAssigner',
        match_costs=[
            dict(type='mmdet.ClassificationCost', weight=2.),
            dict(
                type='mmdet.CrossEntropyLossCost', weight=5.,
                use_sigmoid=True),
            dict(type='mmdet.DiceCost', weight=5., pred_act=True, eps=1.),
        ]))


@MODELS.register_module()
class MaskClassificationHead(Mask2FormerHead):
    """Two linear layers per query: a mask embedding and a class (eq. 4).

    Matching, point sampling and losses are those of mmdet's Mask2Former;
    its pixel and transformer decoders are not, GLID has been through its
    own. Every decoder layer is supervised. Ground truth masks are 1, 0, or
    :data:`UNKNOWN` where a pixel's label is not known, and such pixels are
    not supervised; Mask2Former's takes them to be outside of every mask.

    Losses are means over the joint batch of all processes, and an image's
    points do not depend on the process that it is in; Mask2Former's are of
    each process alone.

    Args:
        num_things_classes (int): Classes that are counted, which come first.
        num_stuff_classes (int): Classes that are not.
        in_channels (int): Channels of queries.
        mask_channels (int): Channels of the mask features.
        no_object_weight (float): Weight of the class "no object".
        loss_cls (dict): Classification loss of mmdet.
        loss_mask (dict): Mask loss of mmdet, on sampled points.
        loss_dice (dict): Dice loss of mmdet, on sampled points.
        train_cfg (dict, optional): What differs from :data:`MATCHING`.
        test_cfg (dict, optional): Settings of evaluation.
        init_cfg (dict, optional): See ``BaseModule``.
    """

    def __init__(self,
                 num_things_classes: int,
                 num_stuff_classes: int,
                 in_channels: int = 512,
                 mask_channels: int = 256,
                 no_object_weight: float = .1,
                 loss_cls: dict = dict(
                     type='mmdet.CrossEntropyLoss', loss_weight=2.),
                 loss_mask: dict = dict(
                     type='mmdet.CrossEntropyLoss',
                     use_sigmoid=True,
                     loss_weight=5.),
                 loss_dice: dict = dict(
                     type='mmdet.DiceLoss',
                     use_sigmoid=True,
                     activate=True,
                     naive_dice=True,
                     eps=1.,
                     loss_weight=5.),
                 train_cfg: Optional[dict] = None,
                 test_cfg: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        # Not Mask2FormerHead's own: it would build decoders.
        BaseModule.__init__(self, init_cfg)
        self.num_things_classes = num_things_classes
        self.num_stuff_classes = num_stuff_classes
        self.num_classes = num_things_classes + num_stuff_classes
        self.cls_embed = nn.Linear(in_channels, self.num_classes + 1)
        self.mask_embed = nn.Linear(in_channels, mask_channels)
        self.test_cfg = test_cfg
        matching = {**MATCHING, **(train_cfg or {})}
        self.assigner = MMDET_TASK_UTILS.build(matching['assigner'])
        self.num_points = matching['num_points']
        self.oversample_ratio = matching['oversample_ratio']
        self.importance_sample_ratio = matching['importance_sample_ratio']
        self.class_weight = [1.] * self.num_classes + [no_object_weight]
        self.loss_cls = MMDET_MODELS.build(
            dict(loss_cls, class_weight=self.class_weight))
        self.loss_mask = KnownPointsLoss(MMDET_MODELS.build(loss_mask))
        self.loss_dice = KnownPointsLoss(MMDET_MODELS.build(loss_dice))

    def init_weights(self) -> None:
        """Linear layers keep PyTorch's initialisation."""

    def forward(self, x: GLIDOutput, *args) -> Tuple[Tensor, Tensor]:
        """Class and mask logits of every decoder layer.

        Args:
            x (GLIDOutput): Features.
            *args: Data samples, which hosts pass along and which are not
                looked at.

        Returns:
            tuple[Tensor, Tensor]: ``(L, B, M, K + 1)`` and ``(L, B, M,
            ⌈H/4⌉, ⌈W/4⌉)``.
        """
        scores = self.cls_embed(x.query_features)
        masks = torch.einsum('lbqc,bchw->lbqhw',
                             self.mask_embed(x.query_features),
                             x.mask_features)
        return scores, masks

    def loss_by_feat(self, all_cls_scores: Tensor, all_mask_preds: Tensor,
                     batch_gt_instances: List[InstanceData],
                     batch_img_metas: List[dict]) -> Dict[str, Tensor]:
        """Losses of all layers, in fp32 whatever the model computes in.

        Matching costs in half precision overflow and tie.

        Args:
            all_cls_scores (Tensor): ``(L, B, M, K + 1)``.
            all_mask_preds (Tensor): ``(L, B, M, h, w)``.
            batch_gt_instances (list[InstanceData]): Per image, ``labels``
                ``(n,)`` and ``masks`` ``(n, H, W)``.
            batch_img_metas (list[dict]): Per image, for match costs.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_mask`` and ``loss_dice``
            of the last layer, and ``d0.loss_cls`` and so on before it.

        Raises:
            UserError: If matching costs are not finite.
        """
        device = all_mask_preds.device
        generators = image_generators(len(batch_img_metas), device)
        labels = torch.cat([image.labels for image in batch_gt_instances])
        truth = torch.cat([image.masks for image in batch_gt_instances])
        with torch.autocast(device.type, enabled=False):
            scores = all_cls_scores.float()
            masks = silence_unknown(all_mask_preds.float(), batch_gt_instances)
            pairs = self._match(scores, masks, batch_gt_instances,
                                batch_img_metas, generators)
            counts = np.bincount(
                pairs[0, 0], minlength=len(generators)).tolist()
            image, query, found = upload(pairs, device)
            layers = torch.arange(len(scores), device=device)
            targets = labels.new_full(scores.shape[:3], self.num_classes)
            targets[layers[:, None], image, query] = labels[found]
            cls = self.loss_cls(
                scores.flatten(0, 2),
                targets.flatten(),
                reduction_override='none').view(len(scores), -1).sum(1)
            weights = scores.new_tensor(self.class_weight)[targets]
            *weights, count = mean_over_processes(
                torch.cat([
                    weights.flatten(1).sum(1),
                    weights.new_tensor([sum(counts)])
                ]))
            # Without any mask the sums are zero, whatever divides them.
            count = count.clamp(min=1e-6)
            losses, last = {}, len(scores) - 1
            for i in (last, *range(last)):
                prefix = '' if i == last else f'd{i}.'
                losses[f'{prefix}loss_cls'] = cls[i] / weights[i]
                mask, dice = self._mask_losses(
                    masks[i, image[i], query[i]][:, None],
                    truth[found[i]][:, None].float(), counts, generators)
                losses[f'{prefix}loss_mask'] = mask / count
                losses[f'{prefix}loss_dice'] = dice / count
        return losses

    @torch.no_grad()
    def _match(self, scores: Tensor, masks: Tensor, truth: List[InstanceData],
               metas: List[dict],
               generators: List[torch.Generator]) -> np.ndarray:
        """Match every image in every layer, at random points.

        Returns:
            np.ndarray: ``(3, L, N)`` int64: image, ascending, query, and mask
            among those of all images.

        Raises:
            UserError: If costs are not finite.
        """
        points = self._draw([1] * len(generators), self.num_points, generators)
        predicted = torch.stack(
            [point_sample(layer, points) for layer in masks], 1)
        targets = [
            point_sample(image.masks[None].float(), where[None])[0]
            for image, where in zip(truth, points)
        ]
        costs = []
        for i, known in enumerate(known_points(targets)):
            # A cost is of one query and one mask, so the queries of all
            # layers make one list.
            queries = InstanceData(
                scores=scores[:, i].flatten(0, 1),
                masks=predicted[i].flatten(0, 1)[:, known])
            objects = InstanceData(
                labels=truth[i].labels, masks=targets[i][:, known])
            cost = torch.stack([
                cost(
                    pred_instances=queries,
                    gt_instances=objects,
                    img_meta=metas[i]) for cost in self.assigner.match_costs
            ]).sum(0)
            costs.append(cost.t().unflatten(1, (len(scores), -1)))
        pairs, first = [], 0
        for i, cost in enumerate(fetch(costs)):
            for layer in range(len(scores)):
                try:
                    objects, queries = assign(cost[:, layer])
                except ValueError as error:
                    raise _unmatchable(metas[i]) from error
                image = np.full_like(queries, i)
                pairs.append((image, queries, objects + first))
            first += len(cost)
        return np.stack([
            np.concatenate(pairs[layer::len(scores)], 1)
            for layer in range(len(scores))
        ], 1)

    def _mask_losses(self, logits: Tensor, truth: Tensor, counts: List[int],
                     generators: List[torch.Generator]) -> Tuple[Tensor, ...]:
        """Sums over masks of what their points cost.

        Args:
            logits (Tensor): ``(N, 1, h, w)``, matched masks of all images.
            truth (Tensor): ``(N, 1, H, W)``.
            counts (list[int]): How many masks each image has.
            generators (list[Generator]): One for each image.

        Returns:
            tuple[Tensor, Tensor]: Of the mask loss, a mean over points, and
            of the dice loss.
        """
        if not len(logits):
            # Nothing, but all processes have the same gradients.
            return logits.sum(), logits.sum()
        with torch.no_grad():
            points = self._sample_points(logits, counts, generators)
            truth = point_sample(truth, points).squeeze(1)
        logits = point_sample(logits, points).squeeze(1)
        mask, dice = (
            loss(logits, truth, reduction_override='none').sum()
            for loss in (self.loss_mask, self.loss_dice))
        return mask / self.num_points, dice

    def _sample_points(self, logits: Tensor, counts: List[int],
                       generators: List[torch.Generator]) -> Tensor:
        """Points of masks: most where the model is unsure, some anywhere.

        Returns:
            Tensor: ``(N, num_points, 2)``, x and y as fractions.
        """
        unsure = int(self.importance_sample_ratio * self.num_points)
        candidates = int(self.oversample_ratio * self.num_points)
        points = self._draw(counts, candidates + self.num_points - unsure,
                            generators)
        certainty = point_sample(logits, points[:, :candidates]).abs()
        chosen = certainty.squeeze(1).topk(unsure, largest=False).indices
        chosen = points.gather(1, chosen[..., None].expand(-1, -1, 2))
        return torch.cat([chosen, points[:, candidates:]], 1)

    def _draw(self, counts: List[int], points: int,
              generators: List[torch.Generator]) -> Tensor:
        """Random points of images, ``(sum(counts), points, 2)``."""
        return torch.cat([
            torch.rand(
                count, points, 2, generator=generator, device=generator.device)
            for count, generator in zip(counts, generators)
        ])


def _unmatchable(meta: dict) -> UserError:
    """What to tell about an image whose matching costs are not finite."""
    return UserError(
        'predictions and ground truth cannot be matched in '
        f'{meta.get("img_path", "an image without a path")}: the predictions '
        'are not finite. Lower the learning rate, clip gradients '
        '(optim_wrapper.clip_grad), or start from weights that are finite.')
