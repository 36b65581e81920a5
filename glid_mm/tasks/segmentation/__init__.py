"""Segmentation by mask classification, with mmseg."""
from ...compat import prepare

prepare('mmengine', 'mmcv', 'mmseg', task='semantic segmentation')

from .dataset import SemanticDataset  # noqa: E402
from .inferencer import InferencerLoader, SegInferencer  # noqa: E402
from .label_check_hook import LabelCheckHook  # noqa: E402
from .loading import LoadSemanticMap  # noqa: E402
from .segmentor import GLIDSegmentor  # noqa: E402
from .semantic_head import SemanticHead  # noqa: E402

__all__ = [
    'GLIDSegmentor', 'InferencerLoader', 'LabelCheckHook', 'LoadSemanticMap',
    'SegInferencer', 'SemanticDataset', 'SemanticHead'
]
