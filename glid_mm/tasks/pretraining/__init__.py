"""Masked image modeling with mmpretrain."""
from ...compat import require

require('mmengine', 'mmcv', 'mmpretrain', task='pre-training')

from .head import PixelHead  # noqa: E402
from .pretrainer import GLIDPretrainer  # noqa: E402

__all__ = ['GLIDPretrainer', 'PixelHead']
