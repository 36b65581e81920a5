"""Mask classification on GLID's output: masks and classes from queries."""
from typing import Dict, List, Optional, Tuple

import torch
from mmcv.ops import point_sample
from mmdet.models.dense_heads import Mask2FormerHead
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.registry import TASK_UTILS as MMDET_TASK_UTILS
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...engine.randomness import image_generators
from ...models import GLIDOutput
from ...registry import MODELS
from ..common import mean_over_processes
from .unknown import KnownPointsAssigner, KnownPointsLoss, silence_unknown

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
        self.assigner = KnownPointsAssigner(
            MMDET_TASK_UTILS.build(matching['assigner']))
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

    def forward(self, x: GLIDOutput,
                *args) -> Tuple[List[Tensor], List[Tensor]]:
        """Class and mask logits of every decoder layer.

        Args:
            x (GLIDOutput): Features.
            *args: Data samples, which hosts pass along and which are not
                looked at.

        Returns:
            tuple[list[Tensor], list[Tensor]]: Per layer ``(B, M, K + 1)``
            and ``(B, M, ⌈H/4⌉, ⌈W/4⌉)``.
        """
        scores = self.cls_embed(x.query_features)
        masks = torch.einsum('lbqc,bchw->lbqhw',
                             self.mask_embed(x.query_features),
                             x.mask_features)
        return list(scores), list(masks)

    def loss_by_feat(self, all_cls_scores: List[Tensor],
                     all_mask_preds: List[Tensor],
                     batch_gt_instances: List[InstanceData],
                     batch_img_metas: List[dict]) -> Dict[str, Tensor]:
        """Losses of all layers, in fp32 whatever the model computes in.

        Matching costs in half precision overflow and tie.

        Args:
            all_cls_scores (list[Tensor]): ``(B, M, K + 1)`` of each layer.
            all_mask_preds (list[Tensor]): ``(B, M, h, w)`` of each layer.
            batch_gt_instances (list[InstanceData]): Per image, ``labels``
                ``(n,)`` and ``masks`` ``(n, H, W)``.
            batch_img_metas (list[dict]): Per image, for the assigner.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_mask`` and ``loss_dice``
            of the last layer, and ``d0.loss_cls`` and so on before it.
        """
        device = all_mask_preds[0].device
        generators = image_generators(len(batch_img_metas), device)
        with torch.autocast(device.type, enabled=False):
            truth = [
                InstanceData(labels=image.labels, masks=image.masks.float())
                for image in batch_gt_instances
            ]
            masks = silence_unknown([masks.float() for masks in all_mask_preds],
                                    truth)
            *earlier, last = [
                self._layer_losses(*layer, truth, batch_img_metas, generators)
                for layer in zip(all_cls_scores, masks)
            ]
        for i, losses in enumerate(earlier):
            last.update({f'd{i}.{name}': v for name, v in losses.items()})
        return last

    def _layer_losses(self, scores: Tensor, masks: Tensor,
                      truth: List[InstanceData], metas: List[dict],
                      generators: List[torch.Generator]) -> Dict[str, Tensor]:
        """Losses of one layer, of logits in any precision and masks."""
        scores = scores.float()
        matches = self._match(scores, masks, truth, metas, generators)
        labels = torch.full_like(scores[..., 0], self.num_classes).long()
        for image, (queries, objects), own in zip(truth, matches, labels):
            own[queries] = image.labels[objects]
        weights = scores.new_tensor(self.class_weight)[labels]
        losses = dict(
            loss_cls=self.loss_cls(
                scores.flatten(0, 1),
                labels.flatten(),
                avg_factor=mean_over_processes(weights.sum())))
        logits = torch.cat([
            image[queries] for image, (queries, _) in zip(masks, matches)
        ])[:, None]
        count = mean_over_processes(scores.new_tensor(len(logits)))
        if not len(logits):
            # Nothing, from which every weight has a gradient all the same.
            return dict(losses, loss_mask=logits.sum(), loss_dice=logits.sum())
        targets = torch.cat([
            image.masks[objects]
            for image, (_, objects) in zip(truth, matches)
        ])[:, None]
        with torch.no_grad():
            points = self._sample_points(
                logits, [len(queries) for queries, _ in matches], generators)
            targets = point_sample(targets, points).squeeze(1)
        logits = point_sample(logits, points).squeeze(1)
        return dict(
            losses,
            loss_mask=self.loss_mask(
                logits.flatten(),
                targets.flatten(),
                avg_factor=count * self.num_points),
            loss_dice=self.loss_dice(logits, targets, avg_factor=count))

    @torch.no_grad()
    def _match(
            self, scores: Tensor, masks: Tensor, truth: List[InstanceData],
            metas: List[dict],
            generators: List[torch.Generator]) -> List[Tuple[Tensor, Tensor]]:
        """Queries, ascending, and their objects; a pair for each image."""
        points = torch.stack([
            torch.rand(
                self.num_points,
                2,
                generator=generator,
                device=generator.device) for generator in generators
        ])
        matches = []
        for image, *prediction, where, meta in zip(
                truth, scores, point_sample(masks, points), points, metas):
            known = point_sample(image.masks[None], where[None])[0]
            found = self.assigner.assign(
                InstanceData(scores=prediction[0], masks=prediction[1]),
                InstanceData(labels=image.labels, masks=known), meta)
            queries = found.gt_inds.nonzero().squeeze(1)
            matches.append((queries, found.gt_inds[queries] - 1))
        return matches

    def _sample_points(self, logits: Tensor, counts: List[int],
                       generators: List[torch.Generator]) -> Tensor:
        """Points of masks: most where the model is unsure, some anywhere.

        Args:
            logits (Tensor): ``(N, 1, h, w)``, masks of all images.
            counts (list[int]): How many masks each image has.
            generators (list[Generator]): One for each image.

        Returns:
            Tensor: ``(N, num_points, 2)``, x and y as fractions.
        """
        unsure = int(self.importance_sample_ratio * self.num_points)
        candidates = int(self.oversample_ratio * self.num_points)
        points = torch.cat([
            torch.rand(
                count,
                candidates + self.num_points - unsure,
                2,
                generator=generator,
                device=generator.device)
            for count, generator in zip(counts, generators)
        ])
        certainty = point_sample(logits, points[:, :candidates]).abs()
        chosen = certainty.squeeze(1).topk(unsure, largest=False).indices
        chosen = points.gather(1, chosen[..., None].expand(-1, -1, 2))
        return torch.cat([chosen, points[:, candidates:]], 1)
