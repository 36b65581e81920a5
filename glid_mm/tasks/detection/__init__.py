"""Object detection with mmdet."""
from ...compat import prepare

prepare('mmengine', 'mmcv', 'mmdet', task='object detection')

from .box_head import BoxHead  # noqa: E402
from .coco_dataset import CocoDataset  # noqa: E402
from .coco_metric import CocoMetric  # noqa: E402
from .detector import GLIDDetector  # noqa: E402
from .focal_loss import FocalLoss  # noqa: E402
from .inferencer import DetInferencer  # noqa: E402

__all__ = [
    'BoxHead', 'CocoDataset', 'CocoMetric', 'DetInferencer', 'FocalLoss',
    'GLIDDetector'
]
