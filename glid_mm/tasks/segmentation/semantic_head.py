"""Semantic segmentation: one mask per class in an image."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import UserError
from ...models import GLIDOutput
from ...models.layers.tokens import STRIDES
from ...registry import MODELS
from ..common import upload
from ..masks.head import MaskHead
from ..masks.loss import MaskTargets
from ..matching import fetch
from .labels import no_class


@MODELS.register_module()
class SemanticHead(MaskHead):
    """The decode head of a GLID segmentor.

    Args:
        num_classes: Number of classes.
        ignore_index: Label without supervision. Padding, loading and metrics
            follow it.
        align_corners: Whether resizing of logits to the original image aligns
            corners.
        **kwargs: See :class:`MaskHead`.

    Raises:
        UserError: If there is only one class.
    """

    def __init__(self,
                 num_classes: int,
                 ignore_index: int = 255,
                 align_corners: bool = False,
                 **kwargs) -> None:
        if num_classes < 2:
            raise UserError(
                f'model.decode_head.num_classes={num_classes}: each pixel is '
                'of the best of two or more classes. Label the rest of the '
                'images as a class of its own, such as background')
        super().__init__(num_classes, **kwargs)
        self.out_channels = num_classes
        self.ignore_index = ignore_index
        self.align_corners = align_corners

    def loss(self, x: GLIDOutput, batch_data_samples: list,
             train_cfg: dict) -> dict:
        """Losses against the classes in each image.

        Args:
            x: Features.
            batch_data_samples (list[SegDataSample]): Samples with
                ``gt_sem_seg``.
            train_cfg: Settings of the segmentor; not used.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_mask`` and ``loss_dice`` of
            the last layer, and ``d0.loss_cls`` and so on of earlier layers.
        """
        return self.losses(x, self._targets(batch_data_samples),
                           batch_data_samples)

    def predict(self, x: GLIDOutput, size: tuple[int, int]) -> Tensor:
        """Class scores per pixel: Σ_q p_q(class) · mask_q(pixel).

        Args:
            x: Features.
            size: Height and width of the input.

        Returns:
            ``(B, K, H, W)``.
        """
        scores, masks = self.answer(x, size)
        scores = scores.softmax(-1)[..., :-1]
        return torch.einsum('bqk,bqhw->bkhw', scores, masks.sigmoid())

    def _targets(self, data_samples: list) -> MaskTargets:
        """A mask for each class of each image.

        Raises:
            UserError: If a label is neither a class nor ignored.
        """
        labels = torch.cat([s.gt_sem_seg.data for s in data_samples])
        # Values of each image: classes, ignored and wrong labels.
        ignored, wrong = self.num_classes, self.num_classes + 1
        kinds = labels.masked_fill(labels == self.ignore_index, ignored)
        kinds = kinds.masked_fill(self._wrong(labels), wrong)
        shown = torch.zeros(len(labels), wrong + 1, device=labels.device)
        shown, = fetch([shown.scatter_(1, kinds.flatten(1).long(), 1)])
        for i in shown[:, wrong].nonzero()[0][:1]:
            raise self._no_class(data_samples[i])
        pairs = np.stack(shown[:, :ignored].nonzero())
        image, classes = upload(pairs, labels.device)
        # Mask logits cover whole 4×4 patches, which the input may not fill.
        rows, columns = (-side % STRIDES[0] for side in labels.shape[1:])
        kinds = F.pad(kinds.short(), (0, columns, 0, rows), value=ignored)
        return MaskTargets(
            labels=classes,
            masks=kinds[image] == classes[:, None, None],
            counts=np.bincount(pairs[0], minlength=len(labels)).tolist(),
            known=kinds != ignored,
            sizes=[sample.img_shape[:2] for sample in data_samples])

    def check_labels(self, data_samples: list) -> None:
        """Raise an error for labels that evaluation would ignore.

        Args:
            data_samples (list[SegDataSample]): Samples; those with
                ``gt_sem_seg`` are checked.

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
        """The mask of labels that are neither a class nor ignored."""
        outside = (labels < 0) | (labels >= self.num_classes)
        return outside & (labels != self.ignore_index)

    def _no_class(self, sample) -> UserError:
        labels = sample.gt_sem_seg.data
        return no_class(labels[self._wrong(labels)].unique().tolist(),
                        sample.metainfo, self.num_classes, self.ignore_index)
