"""mmpose's loss of heatmaps, without selecting pixels."""
import torch.nn.functional as F
from mmpose.models import losses

from ...registry import MODELS


@MODELS.register_module()
class SoftWeightSmoothL1Loss(losses.SoftWeightSmoothL1Loss):
    """mmpose's ``SoftWeightSmoothL1Loss`` without device synchronization.

    mmpose's selects the pixels on either side of ``beta``, so the host waits
    for their number. PyTorch's loss gives the same result.
    """

    smooth_l1_loss = staticmethod(F.smooth_l1_loss)
