"""mmpose's loss of heatmaps, without selecting pixels."""
import torch.nn.functional as F
from mmpose.models import losses

from ...registry import MODELS


@MODELS.register_module()
class SoftWeightSmoothL1Loss(losses.SoftWeightSmoothL1Loss):
    """mmpose's; see there.

    mmpose's picks the pixels on either side of ``beta``, and the device has
    to report how many these are. PyTorch's computes the same.
    """

    smooth_l1_loss = staticmethod(F.smooth_l1_loss)
