"""From weights to predictions in three lines: ``glid_mm.load``."""
from ..compat import prepare

prepare('mmengine', 'mmcv', task='prediction')

from .prediction import Prediction  # noqa: E402
from .predictor import Predictor, choose_device, load  # noqa: E402
from .reconstruction import Reconstruction, random_mask  # noqa: E402
from .runs import read_run  # noqa: E402
from .tasks import detecting, tasks_of  # noqa: E402

__all__ = [
    'Prediction', 'Predictor', 'Reconstruction', 'choose_device', 'detecting',
    'load', 'random_mask', 'read_run', 'tasks_of'
]
