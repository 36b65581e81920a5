"""Pictures: reconstructions, predictions, curves, and the report page."""
from ..compat import require

require('mmengine', 'mmcv', task='visualization')

from .curves import plot_curves, read_metrics, read_scalars  # noqa: E402
from .images import find_images  # noqa: E402
from .panels import tile  # noqa: E402
from .predictions import draw_predictions  # noqa: E402
from .reconstruction_hook import ReconstructionHook  # noqa: E402
from .reconstructions import load_images, reconstruction_panel  # noqa: E402
from .report import Gain, Gallery, Report  # noqa: E402

__all__ = [
    'Gain', 'Gallery', 'ReconstructionHook', 'Report', 'draw_predictions',
    'find_images', 'load_images', 'plot_curves', 'read_metrics',
    'read_scalars', 'reconstruction_panel', 'tile'
]
