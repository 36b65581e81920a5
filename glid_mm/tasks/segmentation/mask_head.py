"""Mask classification on GLID's output: masks and classes from queries."""
from typing import List, Optional, Tuple

import torch
from mmdet.models.dense_heads import Mask2FormerHead
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.registry import TASK_UTILS as MMDET_TASK_UTILS
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...models import GLIDOutput
from ...registry import MODELS
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
        ]),
    sampler=dict(type='mmdet.MaskPseudoSampler'))


@MODELS.register_module()
class MaskClassificationHead(Mask2FormerHead):
    """Two linear layers per query: a mask embedding and a class (eq. 4).

    Matching, point sampling and losses are those of mmdet's Mask2Former;
    its pixel and transformer decoders are not, GLID has been through its
    own. Every decoder layer is supervised. Ground truth masks are 1, 0, or
    :data:`UNKNOWN` where a pixel's label is not known, and such pixels are
    not supervised; Mask2Former's takes them to be outside of every mask.

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
        self.sampler = MMDET_TASK_UTILS.build(
            matching['sampler'], default_args=dict(context=self))
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
        self.num_queries = x.query_features.shape[2]
        scores = self.cls_embed(x.query_features)
        masks = torch.einsum('lbqc,bchw->lbqhw',
                             self.mask_embed(x.query_features),
                             x.mask_features)
        return list(scores), list(masks)

    def loss_by_feat(self, all_cls_scores: List[Tensor],
                     all_mask_preds: List[Tensor], batch_gt_instances,
                     batch_img_metas) -> dict:
        """Losses of all layers, in fp32 whatever the model computes in.

        See ``mmdet.models.MaskFormerHead.loss_by_feat``. Matching costs in
        half precision overflow and tie.
        """
        device = all_mask_preds[0].device.type
        with torch.autocast(device, enabled=False):
            return super().loss_by_feat(
                [scores.float() for scores in all_cls_scores],
                silence_unknown([masks.float() for masks in all_mask_preds],
                                batch_gt_instances), batch_gt_instances,
                batch_img_metas)
