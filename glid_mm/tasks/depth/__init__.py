"""Monocular metric depth with mmseg."""
from ...compat import prepare

prepare('mmengine', 'mmcv', 'mmseg', task='depth estimation')

from .colour import RandomColour  # noqa: E402
from .crop import FixedCrop  # noqa: E402
from .dataset import DepthDataset  # noqa: E402
from .depth_head import DepthHead  # noqa: E402
from .estimator import GLIDDepthEstimator  # noqa: E402
from .inferencer import DepthInferencer  # noqa: E402
from .loading import LoadDepth  # noqa: E402
from .metric import DepthMetric  # noqa: E402
from .pixel_head import PixelDepthHead  # noqa: E402
from .silog_loss import ScaleInvariantLogLoss  # noqa: E402
from .visualizer import DepthVisualizer  # noqa: E402

__all__ = [
    'DepthDataset', 'DepthHead', 'DepthInferencer', 'DepthMetric',
    'DepthVisualizer', 'FixedCrop', 'GLIDDepthEstimator', 'LoadDepth',
    'PixelDepthHead', 'RandomColour', 'ScaleInvariantLogLoss'
]
