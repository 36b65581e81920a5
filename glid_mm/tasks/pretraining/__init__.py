"""Masked image modeling with mmpretrain."""
from ...compat import prepare

prepare('mmengine', 'mmcv', 'mmpretrain', task='pre-training')

from ...datasets.unlabelled import UnlabelledImages  # noqa: E402
from .head import PixelHead  # noqa: E402
from .loading import LoadRandomResizedCrop, crop_size  # noqa: E402
from .preprocessor import CropPreprocessor  # noqa: E402
from .pretrainer import GLIDPretrainer, build_pretrainer  # noqa: E402
from .reconstruction_hook import ReconstructionHook  # noqa: E402
from .reconstructions import reconstruction_panel  # noqa: E402

__all__ = [
    'CropPreprocessor', 'GLIDPretrainer', 'LoadRandomResizedCrop', 'PixelHead',
    'ReconstructionHook', 'UnlabelledImages', 'build_pretrainer', 'crop_size',
    'reconstruction_panel'
]
