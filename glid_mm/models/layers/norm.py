"""Layer normalisation that keeps the type of what it normalises."""
from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """``nn.LayerNorm``, whose result under autocast is fp32 on GPUs.

    Here the residual stream and the pyramid stay in half precision there, as
    they do on CPUs: half the memory traffic, and no worse gradients
    (docs/design.md).
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).to(x.dtype)
