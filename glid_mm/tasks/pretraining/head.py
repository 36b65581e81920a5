"""The head of pre-training: pixels from queries."""
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...models.layers.tokens import UNIT
from ...registry import MODELS
from ..common import Widths


@MODELS.register_module()
class PixelHead(BaseModule):
    """One linear layer from a query to the 3·32² pixels of its unit.

    Args:
        in_channels: Channels of queries.
        norm_pix: Whether the target of each unit is normalised to zero mean
            and unit variance, as in MAE.
    """

    def __init__(self, in_channels: int = 512, norm_pix: bool = False) -> None:
        super().__init__()
        self.norm_pix = norm_pix
        self.widths = Widths(in_channels)
        self.pixels = nn.Linear(in_channels, 3 * UNIT**2)
        nn.init.trunc_normal_(self.pixels.weight, std=.02)
        nn.init.zeros_(self.pixels.bias)

    def forward(self, queries: Tensor) -> Tensor:
        """``(B, N, in_channels)`` -> ``(B, N, 3, 32, 32)``."""
        return self.pixels(queries).unflatten(-1, (3, UNIT, UNIT))

    def loss(self, queries: Tensor, units: Tensor) -> dict:
        """Mean squared error over pixels (paper eq. 2).

        Args:
            queries: ``(B, N, in_channels)``.
            units: ``(B, N, 3, 32, 32)``, standardised pixels.

        Returns:
            dict[str, Tensor]: ``loss``.
        """
        if self.norm_pix:
            mean, std = _statistics(units)
            units = (units - mean) / std
        return dict(loss=F.mse_loss(self(queries).float(), units))

    def predict(self, queries: Tensor, units: Tensor) -> Tensor:
        """Predicted pixels, standardised like the images.

        Args:
            queries: ``(B, N, in_channels)``.
            units: ``(B, N, 3, 32, 32)``, whose statistics undo ``norm_pix``.

        Returns:
            ``(B, N, 3, 32, 32)``.
        """
        pixels = self(queries).float()
        if self.norm_pix:
            mean, std = _statistics(units)
            pixels = pixels * std + mean
        return pixels


def _statistics(units: Tensor):
    flat = units.flatten(2)
    mean = flat.mean(-1)[..., None, None, None]
    std = (flat.var(-1) + 1e-6).sqrt()[..., None, None, None]
    return mean, std
