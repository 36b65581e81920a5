"""Semantic segmentation: one mask per class that an image shows."""
from typing import List, Tuple

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from ...errors import UserError
from ...models import GLIDOutput
from ...registry import MODELS
from ..common import full_size, upload
from ..matching import fetch
from .labels import no_class
from .mask_head import MaskClassificationHead
from .unknown import UNKNOWN


@MODELS.register_module()
class SemanticHead(MaskClassificationHead):
    """The decode head of a GLID segmentor.

    Args:
        num_classes (int): Number of classes.
        ignore_index (int): Label that is not supervised. Padding, loading and
            metrics follow it.
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
            UserError: If a label is neither a class nor ignored.
        """
        labels = torch.cat([s.gt_sem_seg.data for s in data_samples])
        ignored = labels == self.ignore_index
        wrong = self._wrong(labels)
        # What each image shows: classes, what is ignored, what is wrong.
        kinds = labels.masked_fill(ignored, self.num_classes).masked_fill(
            wrong, self.num_classes + 1)
        shown = torch.zeros(
            len(labels), self.num_classes + 2, device=labels.device)
        shown, = fetch([shown.scatter_(1, kinds.flatten(1).long(), 1)])
        instances = []
        for i, sample in enumerate(data_samples):
            if shown[i, -1]:
                raise self._no_class(sample)
            classes = upload(shown[i, :-2].nonzero()[0], labels.device)
            masks = (labels[i] == classes[:, None, None]).short()
            instances.append(
                InstanceData(
                    labels=classes,
                    masks=masks.masked_fill(ignored[i], UNKNOWN)))
        return instances, [sample.metainfo for sample in data_samples]

    def check_labels(self, data_samples: list) -> None:
        """Refuse what evaluation would leave out.

        Args:
            data_samples (list[SegDataSample]): Those with ``gt_sem_seg`` are
                checked.

        Raises:
            UserError: If a label is neither a class nor ignored.
        """
        samples = [s for s in data_samples if 'gt_sem_seg' in s]
        if not samples:
            return
        found, = fetch([
            torch.stack(
                [self._wrong(s.gt_sem_seg.data).any() for s in samples])
        ])
        for i in found.nonzero()[0][:1]:
            raise self._no_class(samples[i])

    def _wrong(self, labels: Tensor) -> Tensor:
        """Where labels are neither a class nor ignored."""
        outside = (labels < 0) | (labels >= self.num_classes)
        return outside & (labels != self.ignore_index)

    def _no_class(self, sample) -> UserError:
        labels = sample.gt_sem_seg.data
        return no_class(labels[self._wrong(labels)].unique().tolist(),
                        sample.metainfo, self.num_classes, self.ignore_index)
