"""Instance and panoptic segmentation with mmdet."""
from ...compat import prepare

prepare('mmengine', 'mmcv', 'mmdet', task='instance and panoptic segmentation')

from ..detection import CocoMetric  # noqa: E402
from . import dataset, loading  # noqa: E402,F401
from .detector import GLIDMaskFormer  # noqa: E402
from .head import PanopticHead  # noqa: E402
from .metric import PanopticMetric  # noqa: E402
from .visualizer import PanopticVisualizer  # noqa: E402

__all__ = [
    'CocoMetric', 'GLIDMaskFormer', 'PanopticHead', 'PanopticMetric',
    'PanopticVisualizer'
]
