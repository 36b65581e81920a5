"""Mask classification on GLID's output: masks and classes from queries."""
from typing import List, Optional, Tuple

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
from ..common import Widths, losses_by_layer, mean_over_processes, upload
from ..matching import CostsError, fetch, match
from .unknown import OUTSIDE, KnownPointsLoss, far_from_known, known_points

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
    points do not depend on the process that has it.

    Args:
        num_things_classes (int): Classes that are counted, which come first.
        num_stuff_classes (int): Classes that are not.
        in_channels (int): Channels of queries.
        mask_channels (int): Channels of the mask features.
        no_object_weight (float): Weight of the class "no object".
        loss_cls (dict): Classification loss of mmdet.
        loss_mask (dict): Mask loss of mmdet, on sampled points.
        loss_dice (dict): Dice loss of mmdet, on sampled points.
        train_cfg (dict, optional): What differs from :data:`MATCHING`. Of
            ``assigner``, the ``match_costs`` count: each is of one query and
            one mask.
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
        self.widths = Widths(in_channels, mask_channels)
        self.cls_embed = nn.Linear(in_channels, self.num_classes + 1)
        self.mask_embed = nn.Linear(in_channels, mask_channels)
        self.test_cfg = test_cfg
        matching = {**MATCHING, **(train_cfg or {})}
        self.assigner = MMDET_TASK_UTILS.build(matching['assigner'])
        self.num_points = matching['num_points']
        self.oversample_ratio = matching['oversample_ratio']
        self.importance_sample_ratio = matching['importance_sample_ratio']
        weights = [1.] * self.num_classes + [no_object_weight]
        self.register_buffer(
            'class_weights', torch.tensor(weights), persistent=False)
        self.loss_cls = MMDET_MODELS.build(
            dict(loss_cls, class_weight=weights))
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
            tuple[Tensor, Tensor]: ``(L, B, M, K + 1)`` and ``(L, B, M, ⌈H/4⌉,
            ⌈W/4⌉)``.
        """
        scores = self.cls_embed(x.query_features)
        masks = torch.einsum('lbqc,bchw->lbqhw',
                             self.mask_embed(x.query_features),
                             x.mask_features)
        return scores, masks

    def loss_by_feat(self, all_cls_scores: Tensor, all_mask_preds: Tensor,
                     batch_gt_instances: List[InstanceData],
                     batch_img_metas: List[dict]) -> dict:
        """Mask2Former's losses, of all layers at once.

        They are in fp32 whatever the model computes in: matching costs in
        half precision overflow and tie. The device is waited for once: one
        copy has the costs of all layers and images.

        Args:
            all_cls_scores (Tensor): ``(L, B, M, K + 1)``.
            all_mask_preds (Tensor): ``(L, B, M, h, w)``.
            batch_gt_instances (list[InstanceData]): ``labels`` ``(n,)`` and
                ``masks`` ``(n, H, W)``, 0, 1 or :data:`UNKNOWN`; all of an
                image agree on what is known.
            batch_img_metas (list[dict]): With ``img_path``.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_mask`` and ``loss_dice``
            of the last layer, and ``d0.loss_cls`` and so on before it.

        Raises:
            UserError: If matching costs are not finite.
        """
        device = all_cls_scores.device
        generators = image_generators(len(batch_img_metas), device)
        with torch.autocast(device.type, enabled=False):
            scores = all_cls_scores.float()
            masks = all_mask_preds.float()
            costs = self._costs(scores, masks, batch_gt_instances,
                                batch_img_metas, generators)
            try:
                pairs = match(costs)
            except CostsError as error:
                path = batch_img_metas[error.image].get(
                    'img_path', 'an image without a path')
                raise UserError(
                    f'predictions and ground truth of {path} cannot be '
                    'matched: costs are not finite, so the predictions are '
                    'not. Lower the learning rate, clip gradients '
                    '(optim_wrapper.clip_grad), or start from weights that '
                    'are finite.') from error
            return self._losses_of_pairs(scores, masks, batch_gt_instances,
                                         pairs, generators)

    @torch.no_grad()
    def _costs(self, scores: Tensor, masks: Tensor,
               instances: List[InstanceData], metas: List[dict],
               generators: List[torch.Generator]) -> List[np.ndarray]:
        """What it costs to match masks and queries, at random points.

        Returns:
            list[np.ndarray]: Of each image, ``(n, L, M)``.
        """
        layers, _, queries = scores.shape[:3]
        costs = []
        for i, (truth, meta,
                generator) in enumerate(zip(instances, metas, generators)):
            if not len(truth):
                costs.append(scores.new_empty(0, layers, queries))
                continue
            points = torch.rand(
                1,
                self.num_points,
                2,
                generator=generator,
                device=scores.device)
            targets = point_sample(truth.masks[None].float(), points)[0]
            known = known_points(targets)
            logits = point_sample(masks[:, i].flatten(0, 1)[None],
                                  points[:, known])[0]
            # A cost is of one query and one mask, so the queries of all
            # layers make one list.
            given = dict(
                pred_instances=InstanceData(
                    scores=scores[:, i].flatten(0, 1), masks=logits),
                gt_instances=InstanceData(
                    labels=truth.labels, masks=targets[:, known]),
                img_meta=meta)
            cost = torch.stack(
                [cost(**given) for cost in self.assigner.match_costs]).sum(0)
            costs.append(cost.t().unflatten(1, (layers, queries)))
        return fetch(costs)

    def _losses_of_pairs(self, scores: Tensor, masks: Tensor,
                         instances: List[InstanceData], pairs: np.ndarray,
                         generators: List[torch.Generator]) -> dict:
        """Losses of what is matched; see :func:`match`."""
        _, layers, count = pairs.shape
        labels = torch.cat([truth.labels for truth in instances])
        image, query, found = upload(pairs, scores.device)
        layer = torch.arange(layers, device=scores.device)[:, None]
        classes = labels.new_full(scores.shape[:3], self.num_classes)
        classes[layer, image, query] = labels[found]
        cls = self.loss_cls(
            scores.flatten(0, 2), classes.flatten(),
            reduction_override='none').reshape(layers, -1).sum(1)
        weights = self.class_weights[classes].flatten(1).sum(1)
        far = far_from_known(instances, masks.shape[-2:])
        matched = masks[layer, image, query].masked_fill(far[image], OUTSIDE)
        # Images without masks count as one, as in mmdet.
        empty = sum(not len(truth) for truth in instances)
        number = upload(np.array([count + empty], np.float32), scores.device)
        weights, number = mean_over_processes(torch.cat(
            (weights, number))).split((layers, 1))
        if count:
            each = np.bincount(pairs[0, 0], minlength=len(instances))
            points = self._points(matched, each.tolist(), generators)
            logits, targets = _sample(matched, instances, found, points)
            mask = self.loss_mask(
                logits.flatten(), targets.flatten(),
                reduction_override='none').reshape(layers, -1).sum(1)
            dice = self.loss_dice(
                logits, targets,
                reduction_override='none').reshape(layers, -1).sum(1)
        else:
            mask = dice = matched.sum((1, 2, 3))
        cls = cls / weights.clamp(min=torch.finfo(weights.dtype).eps)
        mask, dice = mask / (number * self.num_points), dice / number
        return losses_by_layer(loss_cls=cls, loss_mask=mask, loss_dice=dice)

    @torch.no_grad()
    def _points(self, logits: Tensor, counts: List[int],
                generators: List[torch.Generator]) -> Tensor:
        """Points of masks: most where a mask is unsure, the others anywhere.

        Args:
            logits (Tensor): ``(L, P, h, w)``, the masks of one image after
                those of another.
            counts (list[int]): How many masks each image has.
            generators (list[Generator]): One for each image.

        Returns:
            Tensor: ``(L · P, points, 2)``, x and y as fractions.
        """

        def draw(points: int) -> Tensor:
            return torch.cat([
                torch.rand(
                    len(logits),
                    count,
                    points,
                    2,
                    generator=generator,
                    device=logits.device)
                for count, generator in zip(counts, generators)
            ], 1).flatten(0, 1)

        unsure = int(self.importance_sample_ratio * self.num_points)
        points = draw(int(self.oversample_ratio * self.num_points))
        certainty = point_sample(logits.flatten(0, 1)[:, None], points).abs()
        places = certainty[:, 0].topk(unsure, largest=False).indices
        points = points.gather(1, places[..., None].expand(-1, -1, 2))
        return torch.cat([points, draw(self.num_points - unsure)], 1)


def _sample(matched: Tensor, instances: List[InstanceData], found: Tensor,
            points: Tensor) -> Tuple[Tensor, Tensor]:
    """Logits and targets at points, both ``(L · P, points)``.

    Args:
        matched (Tensor): ``(L, P, h, w)`` mask logits.
        instances (list[InstanceData]): With ``masks`` ``(n, H, W)``.
        found (Tensor): ``(L, P)``, of which mask the logits are.
        points (Tensor): ``(L · P, points, 2)``.
    """
    truth = torch.cat([image.masks for image in instances])
    # Layer by layer: the masks are large.
    targets = torch.cat([
        point_sample(truth[masks][:, None].float(), at)[:, 0]
        for masks, at in zip(found, points.chunk(len(found)))
    ])
    return point_sample(matched.flatten(0, 1)[:, None], points)[:, 0], targets
