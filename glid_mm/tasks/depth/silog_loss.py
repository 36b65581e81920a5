"""The scale-invariant log loss."""
import torch
from torch import Tensor, nn

from ...registry import MODELS
from ..common import mean_over_processes


@MODELS.register_module()
class ScaleInvariantLogLoss(nn.Module):
    r"""Error of log depth, which mostly ignores an error common to all pixels.

    With :math:`g = \log d - \log \hat d` over the valid pixels of an image,
    it is :math:`s\sqrt{\overline{g^2} - λ\,\overline{g}^2 + ε}` (Eigen et
    al., https://arxiv.org/abs/1406.2283, eq. 4; the root and the defaults are
    those of AdaBins, which the paper follows). It is the mean over the
    images of all processes that have a valid pixel: the loss of an image does
    not depend on other images of the batch or on their valid pixels.

    Args:
        lambd: λ; 1 ignores a common factor, 0 does not.
        scale: s.
        eps: ε, keeps the root's gradient finite at a perfect prediction.
    """

    def __init__(self,
                 lambd: float = .85,
                 scale: float = 10.,
                 eps: float = 1e-6) -> None:
        super().__init__()
        self.lambd = lambd
        self.scale = scale
        self.eps = eps

    def forward(self, pred: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            pred: ``(B, ...)``, positive depth.
            target: The same shape; any value, including NaN, where it is not
                valid.
            valid: The same shape, bool.

        Returns:
            A scalar; 0 with zero gradient if nothing is valid.
        """
        # Replaced before the logarithm, because otherwise the gradient would
        # not be finite.
        g = (torch.where(valid, pred, 1.).log() -
             torch.where(valid, target, 1.).log()).flatten(1)
        valid = valid.flatten(1)
        count = valid.sum(1)
        mean = g.sum(1) / count.clamp(min=1)
        # mean(g²) − mean(g)² as a variance, which rounding cannot make
        # negative.
        spread = torch.where(valid, g - mean[:, None], 0.)
        spread = spread.square().sum(1) / count.clamp(min=1)
        loss = (spread + (1 - self.lambd) * mean.square() + self.eps).sqrt()
        known = count > 0
        images = mean_over_processes(known.sum())
        # Without any, the sum is zero for every divisor.
        return self.scale * (loss * known).sum() / images.clamp(min=1e-6)
