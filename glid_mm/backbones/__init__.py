"""Backbones for configs: adapters of the models in `models/`."""
from .glid import GLIDBackbone
from .parts import GLIDEncoder, GLIDPyramid
from .timm_features import TimmFeatures
from .xnet import XNet

__all__ = [
    'GLIDBackbone', 'GLIDEncoder', 'GLIDPyramid', 'TimmFeatures', 'XNet'
]
