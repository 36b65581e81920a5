"""Semantic segmentation: one mask per class that an image shows."""
from typing import List, Tuple

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from ...models import GLIDOutput
from ...registry import MODELS
from ..common import full_size
from .mask_head import MaskClassificationHead
from .unknown import UNKNOWN


@MODELS.register_module()
class SemanticHead(MaskClassificationHead):
    """The decode head of a GLID segmentor.

    Args:
        num_classes (int): Number of classes.
        ignore_index (int): Label that is not supervised.
        align_corners (bool): How logits are resized to the original image.
        **kwargs: See :class:`MaskClassificationHead`.
    """

    def __init__(self,
                 num_classes: int,
                 ignore_index: int = 255,
                 align_corners: bool = False,
                 **kwargs) -> None:
        super().__init__(0, num_classes, **kwargs)
        self.out_channels = num_classes
        self.ignore_index = ignore_index
        self.align_corners = align_corners

    def loss(self, x: GLIDOutput, batch_data_samples: list,
             train_cfg: dict) -> dict:
        """Losses against the classes that each image shows.

        Args:
            x (GLIDOutput): Features.
            batch_data_samples (list[SegDataSample]): With ``gt_sem_seg``.
            train_cfg (dict): The segmentor's, not used.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_mask`` and ``loss_dice``
            of the last layer, and ``d0.loss_cls`` and so on before it.
        """
        instances, metas = self._class_masks(batch_data_samples)
        return self.loss_by_feat(*self(x), instances, metas)

    def predict(self, x: GLIDOutput, size: Tuple[int, int]) -> Tensor:
        """Class scores per pixel: Σ_q p_q(class) · mask_q(pixel).

        Args:
            x (GLIDOutput): Features.
            size (tuple[int, int]): Height and width of the input.

        Returns:
            Tensor: ``(B, K, H, W)``.
        """
        # Only the last layer answers.
        x = x.last_layer()
        (scores, ), (masks, ) = self(x)
        masks = full_size(masks, size).sigmoid()
        scores = scores.softmax(-1)[..., :-1]
        return torch.einsum('bqk,bqhw->bkhw', scores, masks)

    def _class_masks(
            self, data_samples: list) -> Tuple[List[InstanceData], List[dict]]:
        """Ground truth as mmdet's matcher wants it.

        Raises:
            ValueError: If a label is neither a class nor ignored.
        """
        instances = []
        for sample in data_samples:
            labels = sample.gt_sem_seg.data.squeeze(0)
            classes = labels.unique()
            classes = classes[classes != self.ignore_index]
            wrong = classes[(classes < 0) | (classes >= self.num_classes)]
            if len(wrong):
                raise ValueError(
                    f'label {int(wrong[-1])} in '
                    f'{sample.metainfo.get("seg_map_path", "a label map")!r} '
                    f'is no class: labels are 0 to {self.num_classes - 1}, or '
                    f'{self.ignore_index} to ignore. Set `num_classes`, or '
                    '`reduce_zero_label` where 0 means unlabelled.')
            masks = (labels == classes[:, None, None]).short()
            masks[:, labels == self.ignore_index] = UNKNOWN
            instances.append(InstanceData(labels=classes.long(), masks=masks))
        return instances, [sample.metainfo for sample in data_samples]
