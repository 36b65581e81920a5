"""The core of glid_mm, in plain PyTorch without OpenMMLab.

``from glid_mm.models import GLID`` works where only torch is installed.
"""
from .decoders.query_decoder import QueryDecoder
from .encoders.swin import ARCHITECTURES, SwinEncoder
from .glid import GLID, Features, GLIDOutput
from .layers.tokens import TokenGrid, masked_units
from .masking import sample_visible
from .necks.bifpn import BiFPN
from .queries import Queries
from .xnet import XNet

__all__ = [
    'ARCHITECTURES', 'BiFPN', 'Features', 'GLID', 'GLIDOutput', 'Queries',
    'QueryDecoder', 'SwinEncoder', 'TokenGrid', 'XNet', 'masked_units',
    'sample_visible'
]
