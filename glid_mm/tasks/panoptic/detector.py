"""GLID as an mmdet detector that predicts masks."""
from mmdet.models.detectors import MaskFormer
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from torch import Tensor

from ...models import GLIDOutput
from ...registry import MODELS
from ..common import Metas, check_answers, check_widths, dense_features
from ..masks.focus import check_focus


@MODELS.register_module()
class GLIDMaskFormer(MaskFormer):
    """mmdet's ``MaskFormer`` that ignores padding.

    Its ``MaskFormerFusionHead`` turns the queries' outputs into instances and
    panoptic maps.

    Args:
        backbone: ``glid_mm.GLID`` with the task's ``num_queries``.
        panoptic_head: ``glid_mm.PanopticHead``.
        train_cfg: Arguments of :class:`MaskLoss`.
        test_cfg: For ``MaskFormerFusionHead``: ``panoptic_on`` and
            ``instance_on`` select the results; ``object_mask_thr``,
            ``iou_thr`` and ``filter_low_score`` of panoptic maps;
            ``max_per_image`` instances.
        data_preprocessor: See ``MaskFormer``.
        init_cfg: See ``MaskFormer``.

    Raises:
        UserError: If the queries cannot predict that many instances.
    """

    def __init__(self,
                 backbone: dict,
                 panoptic_head: dict,
                 test_cfg: dict,
                 train_cfg: dict | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        fusion_head = dict(
            type='mmdet.MaskFormerFusionHead',
            num_things_classes=panoptic_head['num_things_classes'],
            num_stuff_classes=panoptic_head.get('num_stuff_classes', 0))
        super().__init__(
            backbone,
            panoptic_head=ConfigDict(panoptic_head),
            panoptic_fusion_head=ConfigDict(fusion_head),
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg)
        check_widths(self, 'panoptic_head')
        check_focus(self, 'panoptic_head')
        if test_cfg.get('instance_on'):
            check_answers('max_per_image', test_cfg.get('max_per_image', 100),
                          self.backbone.queries.num_queries, self.num_classes)

    def extract_feat(self,
                     batch_inputs: Tensor,
                     batch_data_samples: Metas | None = None) -> GLIDOutput:
        """Features of a batch.

        Args:
            batch_inputs: ``(B, 3, H, W)``, standardised.
            batch_data_samples: Sizes of the images without padding.

        Returns:
            Inputs of the head.
        """
        return dense_features(self.backbone, batch_inputs, batch_data_samples,
                              self.panoptic_head.focus)

    def loss(self, batch_inputs: Tensor,
             batch_data_samples: list[DetDataSample]) -> dict:
        """Losses of a batch, see :meth:`PanopticHead.loss`."""
        x = self.extract_feat(batch_inputs, batch_data_samples)
        return self.panoptic_head.loss(x, batch_data_samples)

    def predict(self,
                batch_inputs: Tensor,
                batch_data_samples: list[DetDataSample],
                rescale: bool = True) -> list[DetDataSample]:
        """Predictions of a batch.

        Args:
            batch_inputs: ``(B, 3, H, W)``, standardised.
            batch_data_samples: Samples with ``img_shape``,
                ``batch_input_shape`` and ``ori_shape``.
            rescale: Whether masks have the size of the original instead of the
                resized images.

        Returns:
            The samples with ``pred_instances`` (``masks`` ``(n, H, W)`` bool,
            their ``bboxes``, ``scores`` and ``labels``), ``pred_panoptic_seg``
            (``sem_seg`` ``(1, H, W)``: class + 1000 · number of the object, or
            the number of classes for empty pixels), or both.
        """
        x = self.extract_feat(batch_inputs, batch_data_samples)
        results = self.panoptic_fusion_head.predict(
            *self.panoptic_head.predict(x, batch_data_samples),
            batch_data_samples,
            rescale=rescale)
        return self.add_pred_to_datasample(batch_data_samples, results)

    def _forward(self,
                 batch_inputs: Tensor,
                 batch_data_samples: list[DetDataSample] | None = None):
        """Logits of every layer; see :meth:`PanopticHead.forward`."""
        x = self.extract_feat(batch_inputs, batch_data_samples)
        return self.panoptic_head(x)
