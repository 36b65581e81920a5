"""What configs put into the slot ``backbone``: the adapters of `models/`."""
from .glid import GLIDBackbone
from .parts import GLIDEncoder, GLIDPyramid
from .timm_features import TimmFeatures
from .xnet import XNet

__all__ = [
    'GLIDBackbone', 'GLIDEncoder', 'GLIDPyramid', 'TimmFeatures', 'XNet'
]
