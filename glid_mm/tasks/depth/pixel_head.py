"""Predict depth from the features of pixels."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS
from .range_head import RangeHead


@MODELS.register_module()
class PixelDepthHead(RangeHead):
    """A 1×1 convolution; its sigmoid is the position within the range.

    For backbones that give maps, such as ``glid_mm.XNet``.

    Args:
        min_depth: Smallest depth, in metres; nearer pixels are not supervised.
        max_depth: Largest depth, in metres.
        in_channels: Channels of the finest map.
        **kwargs: See :class:`RangeHead`.

    Raises:
        UserError: If the range is invalid.
    """

    def __init__(self,
                 min_depth: float,
                 max_depth: float,
                 in_channels: int = 256,
                 **kwargs) -> None:
        super().__init__(min_depth, max_depth, **kwargs)
        self.in_channels = in_channels
        self.depth = nn.Conv2d(in_channels, 1, 1)

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        """Depth of every pixel of the finest map.

        Args:
            x: Maps ``(B, C, h, w)``, the finest first.

        Returns:
            ``(1, B, h, w)`` in metres, fp32.
        """
        with torch.autocast(x[0].device.type, enabled=False):
            logits = self.depth(F.gelu(x[0].to(self.depth.weight.dtype)))
            span = self.max_depth - self.min_depth
            return self.min_depth + span * logits.sigmoid()[None, :, 0]
