"""Predict boxes and classes from queries, with one linear layer each."""
import math

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import DETRHead
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh
from mmengine.dist import get_world_size
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...errors import UserError
from ...models import GLIDOutput
from ...models.layers.position import spread_points
from ...registry import MODELS
from ..common import (Located, Widths, losses_by_layer, mean_over_processes,
                      upload)
from ..matching import CostsError, fetch, match

# The matching of Deformable DETR and H-DETR, with the weights of the losses.
MATCHING = dict(
    assigner=dict(
        type='mmdet.HungarianAssigner',
        match_costs=[
            dict(type='mmdet.FocalLossCost', weight=2.),
            dict(type='mmdet.BBoxL1Cost', weight=5., box_format='xywh'),
            dict(type='mmdet.IoUCost', iou_mode='giou', weight=2.),
        ]))
# Initial score of every class, so that the many queries without an object do
# not dominate the loss.
PRIOR = .01
# Initial width and height of boxes with reference points, as fractions of the
# image's.
SIZE = .25


@MODELS.register_module()
class BoxHead(DETRHead):
    """``DETRHead`` of two linear layers, with hybrid matching.

    A box is the sigmoid of a linear layer: centre, width and height as
    fractions of the image without its padding, as in DETR. With reference
    points, the layer predicts the offset of the centre from the query's own
    point, as in Deformable DETR, but the points are fixed. Every decoder layer
    is supervised. The head and its losses are always in fp32: half precision
    rounds coordinates to whole pixels, and its matching costs overflow and
    tie.

    In hybrid matching (H-DETR, https://arxiv.org/abs/2207.13080) the last
    queries learn from ground truth that is repeated, so that several of them
    match each object. They exist in training only.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of queries.
        one_to_many_queries: Number of queries, the last ones, that are matched
            with repeated ground truth; 0 is DETR's matching.
        one_to_many_repeats: Number of repeats of the ground truth.
        one_to_many_weight: Weight of their losses.
        reference_points: Whether the queries have reference points, spread
            evenly over the image. They should start at these points; see
            ``embedding_positions`` of :class:`glid_mm.models.Queries`. The
            paper has no reference points.
        loss_cls: Classification loss with ``use_sigmoid``.
        loss_bbox: Loss of normalised centre, width and height.
        loss_iou: Loss of boxes in pixels.
        sync_cls_avg_factor: See ``DETRHead``.
        train_cfg: Replaces :data:`MATCHING`. Only ``match_costs`` of
            ``assigner`` are used: each cost relates one query to one object.
        test_cfg: ``max_per_img``, boxes to return per image.
        init_cfg: See ``DETRHead``.

    Raises:
        UserError: If a number is invalid, or the assigner has no
            ``match_costs``.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int = 512,
                 one_to_many_queries: int = 0,
                 one_to_many_repeats: int = 6,
                 one_to_many_weight: float = 1.,
                 reference_points: bool = False,
                 loss_cls: dict = dict(
                     type='glid_mm.FocalLoss', loss_weight=2.),
                 loss_bbox: dict = dict(type='mmdet.L1Loss', loss_weight=5.),
                 loss_iou: dict = dict(type='mmdet.GIoULoss', loss_weight=2.),
                 sync_cls_avg_factor: bool = True,
                 train_cfg: dict | None = None,
                 test_cfg: dict = dict(max_per_img=100),
                 init_cfg: dict | None = None) -> None:
        if one_to_many_queries < 0 or one_to_many_repeats < 1:
            raise UserError(
                f'bbox_head: one_to_many_queries={one_to_many_queries} must '
                'not be negative, and one_to_many_repeats='
                f'{one_to_many_repeats} must be at least 1')
        self.reference_points = reference_points
        super().__init__(
            num_classes,
            in_channels,
            sync_cls_avg_factor=sync_cls_avg_factor,
            loss_cls=loss_cls,
            loss_bbox=loss_bbox,
            loss_iou=loss_iou,
            train_cfg=train_cfg or MATCHING,
            test_cfg=test_cfg,
            init_cfg=init_cfg)
        if not hasattr(self.assigner, 'match_costs'):
            raise UserError(
                f'train_cfg.assigner={type(self.assigner).__name__!r} has no '
                "match_costs. Set type='mmdet.HungarianAssigner'.")
        self.widths = Widths(in_channels)
        self.one_to_many_queries = one_to_many_queries
        self.one_to_many_repeats = one_to_many_repeats
        self.one_to_many_weight = one_to_many_weight

    def _init_layers(self) -> None:
        self.fc_cls = nn.Linear(self.embed_dims, self.cls_out_channels)
        self.fc_reg = nn.Linear(self.embed_dims, 4)
        nn.init.constant_(self.fc_cls.bias, -math.log(1 / PRIOR - 1))
        if self.reference_points:
            nn.init.zeros_(self.fc_reg.weight)
            nn.init.zeros_(self.fc_reg.bias[:2])
            nn.init.constant_(self.fc_reg.bias[2:], -math.log(1 / SIZE - 1))

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits and boxes.

        Args:
            hidden_states: ``(L, B, M, in_channels)``.

        Returns:
            ``(L, B, M, num_classes)`` and ``(L, B, M, 4)``, centre x and y,
            width and height as fractions of the image, both fp32.
        """
        with _fp32(hidden_states):
            hidden_states = hidden_states.float()
            boxes = self.fc_reg(hidden_states)
            if self.reference_points:
                points = spread_points(boxes.shape[2], boxes.device).flip(-1)
                boxes = boxes + F.pad(points.logit(), (0, 2))
            return self.fc_cls(hidden_states), boxes.sigmoid()

    def locate(self, x: GLIDOutput, size: tuple[int, int]) -> Located:
        """Scores of the most likely classes, and the centres of the boxes.

        Args:
            x: Features of one image.
            size: Height and width without padding.
        """
        (scores, ), (boxes, ) = self(x.last_layer().query_features)
        points = boxes[0, :, :2] * boxes.new_tensor([size[1], size[0]])
        return Located(scores[0].sigmoid().amax(-1), points)

    def loss(self, hidden_states: Tensor, batch_data_samples: list) -> dict:
        """Losses of both groups of queries.

        Args:
            hidden_states: ``(L, B, M, in_channels)``, the queries with
                one-to-one matching first.
            batch_data_samples (list[DetDataSample]): Samples with
                ``gt_instances``.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_bbox`` and ``loss_iou`` of
            the last layer, ``d0.loss_cls`` and so on of earlier layers, and
            the same with the prefix ``o2m.`` for the other group.

        Raises:
            UserError: If matching costs are not finite.
        """
        return self.loss_by_feat(
            *self(hidden_states),
            [sample.gt_instances for sample in batch_data_samples],
            [sample.metainfo for sample in batch_data_samples])

    def loss_by_feat(self, all_layers_cls_scores: Tensor,
                     all_layers_bbox_preds: Tensor,
                     batch_gt_instances: list[InstanceData],
                     batch_img_metas: list[dict]) -> dict:
        """``DETRHead``'s losses of both groups, all layers at once.

        It waits for the device once: a single copy has the costs of all
        layers, images and groups.

        Args:
            all_layers_cls_scores: ``(L, B, M, num_classes)``.
            all_layers_bbox_preds: ``(L, B, M, 4)``; see :meth:`forward`.
            batch_gt_instances: ``bboxes`` ``(n, 4)``, x1, y1, x2, y2 in
                pixels, and ``labels`` ``(n,)``.
            batch_img_metas: Meta information with ``img_shape``.

        Returns:
            dict[str, Tensor]: See :meth:`loss`.

        Raises:
            UserError: If matching costs are not finite.
        """
        scores, boxes = all_layers_cls_scores, all_layers_bbox_preds
        sizes = [meta['img_shape'][1::-1] * 2 for meta in batch_img_metas]
        late = scores.shape[2] - self.one_to_many_queries
        with _fp32(scores):
            sizes = upload(np.array(sizes, np.float32), scores.device)
            costs = self._costs(scores, boxes, sizes, batch_gt_instances,
                                batch_img_metas)

            def losses_of(queries: slice, repeats: int) -> dict:
                try:
                    pairs = match([cost[..., queries] for cost in costs],
                                  repeats)
                except CostsError as error:
                    raise _unmatchable(batch_gt_instances[error.image],
                                       batch_img_metas[error.image]) from error
                return self._losses_of_pairs(scores[:, :, queries],
                                             boxes[:, :, queries], sizes,
                                             batch_gt_instances, pairs)

            losses = losses_of(slice(0, late), 1)
            if self.one_to_many_queries:
                many = losses_of(slice(late, None), self.one_to_many_repeats)
                losses.update({
                    f'o2m.{name}': self.one_to_many_weight * value
                    for name, value in many.items()
                })
        return losses

    @torch.no_grad()
    def _costs(self, scores: Tensor, boxes: Tensor, sizes: Tensor,
               instances: list[InstanceData],
               metas: list[dict]) -> list[np.ndarray]:
        """Costs of matching objects and queries.

        Returns:
            Costs ``(n, L, M)`` of each image.
        """
        corners = bbox_cxcywh_to_xyxy(boxes) * sizes[:, None]
        costs = []
        for i, (truth, meta) in enumerate(zip(instances, metas)):
            # Costs relate one query to one object, so the queries of all
            # layers form one list.
            queries = InstanceData(
                scores=scores[:, i].flatten(0, 1),
                bboxes=corners[:, i].flatten(0, 1))
            cost = torch.stack([
                cost(
                    pred_instances=queries, gt_instances=truth, img_meta=meta)
                for cost in self.assigner.match_costs
            ]).sum(0)
            costs.append(cost.t().unflatten(1, (len(scores), -1)))
        return fetch(costs)

    def _losses_of_pairs(self, scores: Tensor, boxes: Tensor, sizes: Tensor,
                         instances: list[InstanceData],
                         pairs: np.ndarray) -> dict:
        """``DETRHead``'s losses of matched pairs; see :func:`match`."""
        _, layers, count = pairs.shape
        labels = torch.cat([truth.labels for truth in instances])
        truth = torch.cat([truth.bboxes for truth in instances])
        image, query, found = upload(pairs, scores.device)
        layer = torch.arange(layers, device=scores.device)[:, None]
        targets = labels.new_full(scores.shape[:3], self.num_classes)
        targets[layer, image, query] = labels[found]
        cls = self.loss_cls(
            scores.flatten(0, 2), targets.flatten(), reduction_override='none')
        matched = boxes[layer, image, query].flatten(0, 1)
        if count:
            size, truth = sizes[image.flatten()], truth[found.flatten()]
            bbox = self.loss_bbox(
                matched,
                bbox_xyxy_to_cxcywh(truth / size),
                reduction_override='none')
            iou = self.loss_iou(
                bbox_cxcywh_to_xyxy(matched) * size,
                truth,
                reduction_override='none')
        else:
            bbox = iou = matched
        own = upload(np.array(count, np.float32), scores.device)
        # At least one object in all processes together.
        shared = mean_over_processes(own).clamp(min=1 / get_world_size())
        factor = shared if self.sync_cls_avg_factor else own.clamp(min=1)
        cls = cls.reshape(layers, -1).sum(1) / factor
        bbox = bbox.reshape(layers, -1).sum(1) / shared
        iou = iou.reshape(layers, -1).sum(1) / shared
        return losses_by_layer(loss_cls=cls, loss_bbox=bbox, loss_iou=iou)


def _unmatchable(truth: InstanceData, meta: dict) -> UserError:
    """Describe an image whose matching costs are not finite."""
    if truth.bboxes.isfinite().all():
        cure = ('If the image and its boxes are correct, the predictions are '
                'not finite: lower the learning rate, clip gradients '
                '(optim_wrapper.clip_grad), or start from finite weights.')
    else:
        cure = 'Correct its annotations: the boxes are not finite.'
    return UserError(
        'predictions and ground truth cannot be matched in '
        f'{meta.get("img_path", "an image without a path")}: costs are not '
        'finite. Its boxes (x1, y1, x2, y2), in the resized image of '
        f'{meta["img_shape"]} (height, width), are {truth.bboxes.tolist()}. '
        f'{cure}')


def _fp32(tensor: Tensor):
    """No autocast on the tensor's device."""
    return torch.autocast(tensor.device.type, enabled=False)
