"""The share of correct keypoints in a batch, computed on the device."""
import torch
from torch import Tensor

# Threshold relative to the heatmap's size, as in mmpose.
NEAR = .05


def heatmap_accuracy(heatmaps: Tensor, targets: Tensor,
                     visible: Tensor) -> Tensor:
    """The average of ``mmpose.evaluation.pose_pck_accuracy``.

    mmpose's function needs all heatmaps on the CPU.

    Args:
        heatmaps: ``(B, K, H, W)``.
        targets: The same shape.
        visible: ``(B, K)`` bool, the keypoints to evaluate.

    Returns:
        A scalar, fp64: the share of keypoints whose peaks are less than
        :data:`NEAR` of the size apart, averaged over the keypoints that are
        visible in some image; 0 if there are none.
    """
    height, width = heatmaps.shape[-2:]
    (x, y), (true_x, true_y) = map(_peaks, (heatmaps, targets))
    # mmpose divides x by the height and y by the width.
    error = ((x - true_x).double() / height)**2
    error = (error + ((y - true_y).double() / width)**2).sqrt().float()
    found = (visible & (error < NEAR)).sum(0).double()
    count = visible.sum(0)
    share = found / count.clamp(min=1)
    return share.sum() / (count > 0).sum().clamp(min=1)


def _peaks(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Column and row of each peak; -1 for heatmaps without a peak."""
    values, places = heatmaps.flatten(2).max(-1)
    width = heatmaps.shape[-1]
    rows = places.div(width, rounding_mode='floor')
    return tuple(
        torch.where(values > 0, at, -1) for at in (places % width, rows))
