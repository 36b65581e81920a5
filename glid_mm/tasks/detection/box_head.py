"""Boxes and classes from queries, one linear layer each."""
import math
from typing import List, Optional, Tuple

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import DETRHead
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...errors import UserError
from ...models.layers.position import spread_points
from ...registry import MODELS

# Matching of Deformable DETR and H-DETR, with the weights of the losses.
MATCHING = dict(
    assigner=dict(
        type='mmdet.HungarianAssigner',
        match_costs=[
            dict(type='mmdet.FocalLossCost', weight=2.),
            dict(type='mmdet.BBoxL1Cost', weight=5., box_format='xywh'),
            dict(type='mmdet.IoUCost', iou_mode='giou', weight=2.),
        ]))
# Score of every class at the start, so that the many queries without an
# object do not drown the others.
PRIOR = .01
# Width and height of boxes at the start, as fractions of the image's, if they
# have reference points.
SIZE = .25


@MODELS.register_module()
class BoxHead(DETRHead):
    """``DETRHead`` of two linear layers, with hybrid matching.

    A box is the sigmoid of a linear layer: centre, width and height as
    fractions of the image without its padding, as in DETR. With reference
    points the layer tells how far the centre is from the query's own point,
    as in Deformable DETR, but the points are fixed. Every decoder layer is
    supervised. Whatever the model computes in, the head and its
    losses are in fp32: half precision rounds coordinates to whole pixels,
    and its matching costs overflow and tie.

    In hybrid matching (H-DETR, https://arxiv.org/abs/2207.13080) the last
    queries learn from ground truth that is repeated, so that several of them
    match each object. They exist in training only.

    Args:
        num_classes (int): Number of classes.
        in_channels (int): Channels of queries.
        one_to_many_queries (int): How many of the queries, the last ones,
            are matched with repeated ground truth; 0 is DETR's matching.
        one_to_many_repeats (int): How often ground truth is repeated.
        one_to_many_weight (float): Weight of their losses.
        reference_points (bool): Whether the queries have reference points,
            spread evenly over the image, which they should know: see
            ``embedding_positions`` of :class:`glid_mm.models.Queries`. The
            paper's have none.
        loss_cls (dict): Classification loss with ``use_sigmoid``.
        loss_bbox (dict): Loss of normalised centre, width and height.
        loss_iou (dict): Loss of boxes in pixels.
        sync_cls_avg_factor (bool): See ``DETRHead``.
        train_cfg (dict, optional): What takes the place of :data:`MATCHING`.
        test_cfg (dict): ``max_per_img``, boxes to return per image.
        init_cfg (dict, optional): See ``DETRHead``.

    Raises:
        UserError: If a number is impossible.
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
                 train_cfg: Optional[dict] = None,
                 test_cfg: dict = dict(max_per_img=100),
                 init_cfg: Optional[dict] = None) -> None:
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

    def forward(self, hidden_states: Tensor) -> Tuple[Tensor, Tensor]:
        """Class logits and boxes.

        Args:
            hidden_states (Tensor): ``(L, B, M, in_channels)``.

        Returns:
            tuple[Tensor, Tensor]: ``(L, B, M, num_classes)`` and ``(L, B, M,
            4)``, centre x and y, width and height as fractions of the image,
            both fp32.
        """
        with _fp32(hidden_states):
            hidden_states = hidden_states.float()
            boxes = self.fc_reg(hidden_states)
            if self.reference_points:
                points = spread_points(boxes.shape[2], boxes.device).flip(-1)
                boxes = boxes + F.pad(points.logit(), (0, 2))
            return self.fc_cls(hidden_states), boxes.sigmoid()

    def loss(self, hidden_states: Tensor, batch_data_samples: list) -> dict:
        """Losses of both groups of queries.

        Args:
            hidden_states (Tensor): ``(L, B, M, in_channels)``, the queries
                that are matched one to one before the others.
            batch_data_samples (list[DetDataSample]): With ``gt_instances``.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_bbox`` and ``loss_iou`` of
            the last layer, ``d0.loss_cls`` and so on of those before it, and
            the same with ``o2m.`` before the name for the other group.

        Raises:
            UserError: If matching costs are not finite.
        """
        instances = [sample.gt_instances for sample in batch_data_samples]
        metas = [sample.metainfo for sample in batch_data_samples]
        scores, boxes = self(hidden_states)
        count = scores.shape[2] - self.one_to_many_queries
        with _fp32(scores):
            losses = self.loss_by_feat(scores[:, :, :count],
                                       boxes[:, :, :count], instances, metas)
            if self.one_to_many_queries:
                many = self.loss_by_feat(scores[:, :, count:], boxes[:, :,
                                                                     count:],
                                         self._repeat(instances), metas)
                losses.update({
                    f'o2m.{name}': self.one_to_many_weight * value
                    for name, value in many.items()
                })
        return losses

    def _repeat(self, instances: List[InstanceData]) -> List[InstanceData]:
        """Ground truth, repeated."""
        times = self.one_to_many_repeats
        return [
            InstanceData(
                bboxes=x.bboxes.repeat(times, 1),
                labels=x.labels.repeat(times)) for x in instances
        ]

    def _get_targets_single(self, cls_score: Tensor, bbox_pred: Tensor,
                            gt_instances: InstanceData,
                            img_meta: dict) -> tuple:
        """Targets of one image; see ``DETRHead``."""
        try:
            return super()._get_targets_single(cls_score, bbox_pred,
                                               gt_instances, img_meta)
        except ValueError as error:
            # This is how SciPy refuses costs that are not finite.
            boxes = gt_instances.bboxes
            if not boxes.isfinite().all():
                cure = ('Mend its annotations: those boxes are not finite.')
            elif not (cls_score.isfinite().all()
                      and bbox_pred.isfinite().all()):
                cure = ('The predictions are not finite. If the image and its '
                        'boxes are sound, lower the learning rate, clip '
                        'gradients (optim_wrapper.clip_grad), or start from '
                        'weights that are finite.')
            else:
                raise
            raise UserError(
                'predictions and ground truth cannot be matched in '
                f'{img_meta.get("img_path", "an image without a path")}: '
                f'{error}. Its boxes (x1, y1, x2, y2), in the resized image '
                f'of {img_meta["img_shape"]} (height, width), are '
                f'{boxes.tolist()}. {cure}') from error


def _fp32(tensor: Tensor):
    """No autocast on the tensor's device."""
    return torch.autocast(tensor.device.type, enabled=False)
