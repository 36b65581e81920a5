"""Pictures: predictions, attention, curves, and the report page."""
from ..compat import prepare

prepare('mmengine', 'mmcv', task='visualization')

from .curves import plot_curves, read_metrics, read_scalars  # noqa: E402
from .images import find_images, load_images, to_pictures  # noqa: E402
from .panels import tile  # noqa: E402
from .prediction_hook import PredictionHook  # noqa: E402
from .predictions import draw_predictions  # noqa: E402
from .report import Gain, Gallery, Report  # noqa: E402

__all__ = [
    'Gain', 'Gallery', 'PredictionHook', 'Report', 'draw_predictions',
    'find_images', 'load_images', 'plot_curves', 'read_metrics',
    'read_scalars', 'tile', 'to_pictures'
]
