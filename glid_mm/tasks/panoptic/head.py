"""Instance and panoptic segmentation: one mask per object or class of stuff.

The model is the same for both; only the source of the ground truth differs.
"""
import numpy as np
import torch
from mmdet.evaluation import INSTANCE_OFFSET
from torch import Tensor

from ...errors import UserError
from ...models import GLIDOutput
from ...models.layers.tokens import STRIDES
from ...registry import MODELS
from ..common import upload
from ..masks.head import MaskHead
from ..masks.loss import MaskTargets


@MODELS.register_module()
class PanopticHead(MaskHead):
    """The head of a :class:`GLIDMaskFormer`.

    Args:
        num_things_classes: Classes with separate objects; they come first.
        num_stuff_classes: Classes that have one mask each; 0 for instance
            segmentation.
        test_cfg: Settings of the detector; not used.
        **kwargs: See :class:`MaskHead`.
    """

    def __init__(self,
                 num_things_classes: int,
                 num_stuff_classes: int = 0,
                 test_cfg: dict | None = None,
                 **kwargs) -> None:
        super().__init__(num_things_classes + num_stuff_classes, **kwargs)
        self.num_things_classes = num_things_classes
        self.num_stuff_classes = num_stuff_classes

    def loss(self, x: GLIDOutput, batch_data_samples: list) -> dict:
        """Losses against the ground truth of each image.

        Args:
            x: Features.
            batch_data_samples (list[DetDataSample]): Samples with
                ``gt_panoptic_seg`` of :class:`PackPanopticInputs`, or with
                masks in ``gt_instances``.

        Returns:
            dict[str, Tensor]: ``loss_cls``, ``loss_mask`` and ``loss_dice`` of
            the last layer, and ``d0.loss_cls`` and so on of earlier layers.

        Raises:
            UserError: If both are missing, or predictions are not finite.
        """
        height, width = x.mask_features.shape[-2:]
        targets = (
            self.segments
            if 'gt_panoptic_seg' in batch_data_samples[0] else self.instances)
        size = STRIDES[0] * height, STRIDES[0] * width
        return self.losses(x, targets(batch_data_samples, size),
                           batch_data_samples)

    def predict(self, x: GLIDOutput,
                batch_data_samples: list) -> tuple[Tensor, Tensor]:
        """Class and mask logits for mmdet's fusion head.

        Args:
            x: Features.
            batch_data_samples (list[DetDataSample]): Samples with
                ``batch_input_shape``.

        Returns:
            ``(B, M, K + 1)`` and ``(B, M, H, W)``.
        """
        return self.answer(x, batch_data_samples[0].batch_input_shape)

    def instances(self, data_samples: list, size: tuple[int,
                                                        int]) -> MaskTargets:
        """A mask for each object.

        A crowd is unknown except for objects in it that have their own masks.
        Objects outside the crop are omitted.

        Args:
            data_samples (list[DetDataSample]): Samples with ``gt_instances``
                and ``ignored_instances``.
            size: H and W of the masks.

        Returns:
            The targets; padding is unknown.

        Raises:
            UserError: If they have no masks.
        """
        device = data_samples[0].gt_instances.labels.device
        known = np.zeros((len(data_samples), *size), bool)
        masks, labels, sizes = [], [], []
        for sample, seen in zip(data_samples, known):
            if 'masks' not in sample.gt_instances:
                raise UserError(
                    'the annotations of the training images have no masks. '
                    'Set with_mask=True in LoadAnnotations of the pipeline.')
            height, width = sample.img_shape[:2]
            own, crowds = (
                truth.masks.to_ndarray()[:, :height, :width] > 0
                for truth in (sample.gt_instances, sample.ignored_instances))
            seen[:height, :width] = own.any(0) | ~crowds.any(0)
            shown = own.any((1, 2)).nonzero()[0]
            full = np.zeros((len(shown), *size), bool)
            full[:, :height, :width] = own[shown]
            masks.append(full)
            labels.append(sample.gt_instances.labels[upload(shown, device)])
            sizes.append((height, width))
        return MaskTargets(
            labels=torch.cat(labels),
            masks=upload(np.concatenate(masks), device),
            counts=[len(own) for own in masks],
            known=upload(known, device),
            sizes=sizes)

    def segments(self, data_samples: list, size: tuple[int,
                                                       int]) -> MaskTargets:
        """A mask for each segment of panoptic maps.

        Args:
            data_samples (list[DetDataSample]): Samples from
                :class:`PackPanopticInputs`.
            size: H and W of the masks.

        Returns:
            The targets; void, crowds and padding are unknown.
        """
        first = data_samples[0].gt_panoptic_seg.sem_seg
        maps = first.new_full((len(data_samples), *size), self.num_classes)
        sizes: list[tuple[int, int]] = []
        for sample, full in zip(data_samples, maps):
            height, width = sample.img_shape[:2]
            own = sample.gt_panoptic_seg.sem_seg[0]
            full[:height, :width] = own[:height, :width]
            sizes.append((height, width))
        counts = [len(sample.gt_instances) for sample in data_samples]
        image = np.arange(len(counts)).repeat(counts)
        codes = torch.cat([s.gt_instances.codes for s in data_samples])
        return MaskTargets(
            labels=codes.long() % INSTANCE_OFFSET,
            masks=maps[upload(image, maps.device)] == codes[:, None, None],
            counts=counts,
            known=(maps >= 0) & (maps != self.num_classes),
            sizes=sizes)
