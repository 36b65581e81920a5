"""Segmentation by mask classification, with mmseg and mmdet's losses."""
from ...compat import require

require('mmengine', 'mmcv', 'mmdet', 'mmseg', task='semantic segmentation')

from .label_check_hook import LabelCheckHook  # noqa: E402
from .loading import LoadSemanticMap  # noqa: E402
from .mask_head import MaskClassificationHead  # noqa: E402
from .segmentor import GLIDSegmentor  # noqa: E402
from .semantic_head import SemanticHead  # noqa: E402

__all__ = [
    'GLIDSegmentor', 'LabelCheckHook', 'LoadSemanticMap',
    'MaskClassificationHead', 'SemanticHead'
]
