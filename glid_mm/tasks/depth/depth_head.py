"""Predict depth from queries, one per bin."""
import torch
from torch import Tensor, nn

from ...models import GLIDOutput
from ...models.layers.tokens import STRIDES
from ...registry import MODELS
from ..common import Located, Widths, centres
from .bins import bin_centres, bin_lengths, bin_shares, expected_depth
from .range_head import RangeHead


@MODELS.register_module()
class DepthHead(RangeHead):
    """Two linear layers per query: a bin's length and its embedding.

    The bins divide the range of depth, and every pixel averages their centres
    (eq. 5 to 7). The paper supervises only the last decoder layer;
    ``auxiliary_weight`` also supervises earlier layers.

    Args:
        min_depth: Smallest depth, in metres; nearer pixels are not supervised.
        max_depth: Largest depth, in metres.
        in_channels: Channels of queries.
        mask_channels: Channels of the mask features.
        **kwargs: See :class:`RangeHead`.

    Raises:
        UserError: If the range is invalid.
    """

    def __init__(self,
                 min_depth: float,
                 max_depth: float,
                 in_channels: int = 512,
                 mask_channels: int = 256,
                 **kwargs) -> None:
        super().__init__(min_depth, max_depth, **kwargs)
        self.widths = Widths(in_channels, mask_channels)
        self.bin_length = nn.Linear(in_channels, 1)
        self.bin_embed = nn.Linear(in_channels, mask_channels)

    def forward(self, x: GLIDOutput) -> Tensor:
        """Depth after every given decoder layer.

        Args:
            x: Features.

        Returns:
            ``(L, B, ⌈H/4⌉, ⌈W/4⌉)`` in metres, fp32.
        """
        with torch.autocast(x.mask_features.device.type, enabled=False):
            queries = x.query_features.to(self.bin_length.weight.dtype)
            lengths = bin_lengths(self.bin_length(queries).squeeze(-1))
            depths = bin_centres(lengths, self.min_depth, self.max_depth)
            return expected_depth(depths, self.bin_embed(queries),
                                  x.mask_features)

    def loss(self, x: GLIDOutput, batch_data_samples: list,
             train_cfg: dict) -> dict:
        """See :meth:`RangeHead.loss`."""
        if not self.auxiliary_weight:
            x = x.last_layer()
        return super().loss(x, batch_data_samples, train_cfg)

    def predict(self, x: GLIDOutput, size: tuple[int, int]) -> Tensor:
        """Depth ``(B, 1, H, W)`` in metres from the last decoder layer."""
        return super().predict(x.last_layer(), size)

    def locate(self, x: GLIDOutput, size: tuple[int, int]) -> Located:
        """Bins' shares of the image, and their centres of mass.

        Args:
            x: Features of one image.
            size: Height and width without padding.
        """
        queries = x.last_layer().query_features
        rows, cols = (-(-side // STRIDES[0]) for side in size)
        shares = bin_shares(
            self.bin_embed(queries), x.mask_features[..., :rows, :cols])[0, 0]
        return Located(shares.mean((1, 2)), centres(shares))
