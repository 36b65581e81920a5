"""COCO's evaluation of boxes, for any ids and any subset of images."""
from mmdet.evaluation import metrics

from ...registry import METRICS


@METRICS.register_module()
class CocoMetric(metrics.CocoMetric):
    """mmdet's ``CocoMetric``, for the images with predictions.

    COCO's evaluation treats an object with the id 0 as unmatched, and
    mmdet's counts objects in images without predictions as missed. Here
    objects are numbered from 1, and only images with results are evaluated.

    Args:
        *args: See mmdet's ``CocoMetric``.
        **kwargs: See mmdet's ``CocoMetric``.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self._coco_api is not None:
            annotations = self._coco_api.dataset.get('annotations', ())
            for number, annotation in enumerate(annotations, 1):
                annotation['id'] = number
            self._coco_api.createIndex()

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the metrics; see mmdet's ``CocoMetric``.

        Args:
            results: Pairs of ground truth and prediction.

        Returns:
            Metrics by name.
        """
        self.img_ids = [prediction['img_id'] for _, prediction in results]
        return super().compute_metrics(results)
