"""GLID as a detector for mmdet."""
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from torch import Tensor

from ...errors import UserError
from ...models import GLIDOutput
from ...registry import MODELS
from ..common import Metas, check_answers, check_widths, padding_mask


@MODELS.register_module()
class GLIDDetector(BaseDetector):
    """A detector whose queries predict at most one box each.

    The model ignores padding. The queries with one-to-one matching form their
    own group: in training the other queries are decoded separately, and in
    testing they are not used. The results are those of a model without them.

    Args:
        backbone: ``glid_mm.GLID``; its ``num_queries`` counts both groups.
        bbox_head: ``glid_mm.BoxHead``.
        train_cfg: Training settings of the head.
        test_cfg: Test settings of the head.
        data_preprocessor: See ``BaseDetector``.
        init_cfg: See ``BaseDetector``.

    Raises:
        UserError: If there are too few queries for the head, or it does not
            fit the backbone.
    """

    def __init__(self,
                 backbone: dict,
                 bbox_head: dict,
                 train_cfg: dict | None = None,
                 test_cfg: dict | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(data_preprocessor, init_cfg)
        bbox_head = dict(bbox_head)
        if train_cfg is not None:
            bbox_head['train_cfg'] = train_cfg
        if test_cfg is not None:
            bbox_head['test_cfg'] = test_cfg
        self.backbone = MODELS.build(backbone)
        self.bbox_head = MODELS.build(bbox_head)
        check_widths(self, 'bbox_head')
        total = self.backbone.queries.num_queries
        others = self.bbox_head.one_to_many_queries
        num_queries = total - others
        if num_queries < 1:
            raise UserError(
                f'backbone.num_queries={total} counts all queries, but '
                f'bbox_head.one_to_many_queries={others} leaves none for '
                f'one-to-one matching. Set backbone.num_queries to {others} '
                'plus the one-to-one queries, for example 300.')
        check_answers('max_per_img',
                      self.bbox_head.test_cfg.get('max_per_img', 0),
                      num_queries, self.bbox_head.num_classes)
        self.groups = [slice(0, num_queries)]
        if others:
            self.groups.append(slice(num_queries, total))

    def loss(self, batch_inputs: Tensor,
             batch_data_samples: list[DetDataSample]) -> dict:
        """Losses of a batch.

        Args:
            batch_inputs: ``(B, 3, H, W)``, standardised.
            batch_data_samples: Samples with ``img_shape`` and
                ``gt_instances``.

        Returns:
            dict[str, Tensor]: See :meth:`BoxHead.loss`.
        """
        mask = padding_mask(batch_inputs, batch_data_samples)
        x = self.backbone(batch_inputs, mask, *self.groups)
        return self.bbox_head.loss(x.query_features, batch_data_samples)

    def predict(self,
                batch_inputs: Tensor,
                batch_data_samples: list[DetDataSample],
                rescale: bool = True) -> list[DetDataSample]:
        """Boxes, scores and labels of a batch.

        Args:
            batch_inputs: ``(B, 3, H, W)``, standardised.
            batch_data_samples: Samples with ``img_shape``, and
                ``scale_factor`` for rescaling.
            rescale: Whether boxes are in pixels of the original instead of the
                resized images.

        Returns:
            The samples with ``pred_instances``: ``bboxes`` ``(n, 4)`` as x1,
            y1, x2, y2, ``scores`` and ``labels`` ``(n,)``.
        """
        x = self.extract_feat(batch_inputs, batch_data_samples)
        results = self.bbox_head.predict(x.query_features, batch_data_samples,
                                         rescale)
        for sample in batch_data_samples:
            if sample.get('img_path', '') is None:
                # For an array, mmdet's inferencer needs no path: it names
                # results by numbers.
                del sample.img_path
        return self.add_pred_to_datasample(batch_data_samples, results)

    def extract_feat(self,
                     batch_inputs: Tensor,
                     batch_data_samples: Metas | None = None) -> GLIDOutput:
        """Features of the queries with one-to-one matching.

        Args:
            batch_inputs: ``(B, 3, H, W)``, standardised.
            batch_data_samples: Sizes of the images without padding.

        Returns:
            Inputs of the head.
        """
        mask = padding_mask(batch_inputs, batch_data_samples)
        return self.backbone(batch_inputs, mask, self.groups[0])

    def _forward(
        self,
        batch_inputs: Tensor,
        batch_data_samples: list[DetDataSample] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits and boxes of every layer; see :meth:`BoxHead.forward`."""
        x = self.extract_feat(batch_inputs, batch_data_samples)
        return self.bbox_head(x.query_features)
