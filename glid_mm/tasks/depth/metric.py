"""mmseg's depth metrics, in any selection, also for images without depth."""
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.logging import print_log
from mmseg.evaluation import metrics
from torch import Tensor

from ...errors import UserError
from ...registry import METRICS

CROPS = (None, 'nyu_crop', 'garg_crop')
# Height and width for mmseg's Eigen crop of NYUv2.
NYU_SIZE = 480, 640
# Garg et al. (https://arxiv.org/abs/1603.04992): top, bottom, left and right
# as shares of height and width, where KITTI's laser has points.
GARG = .40810811, .99189189, .03594771, .96405229


@METRICS.register_module()
class DepthMetric(metrics.DepthMetric):
    """``DepthMetric`` that takes a list of metrics and KITTI's Garg crop.

    Each metric is the mean over images with known depth.

    Args:
        depth_metrics: Some of ``abs_rel`` (REL), ``rmse``, ``log10``, ``d1``,
            ``d2``, ``d3`` (δ < 1.25 and its powers), ``sq_rel``, ``rmse_log``
            and ``silog``; by default all.
        crop_type: ``'nyu_crop'``, of Eigen et al., or ``'garg_crop'``.
        **kwargs: See ``mmseg.evaluation.DepthMetric``; ``min_depth_eval`` and
            ``max_depth_eval`` bound the evaluated depth.

    Raises:
        UserError: If a name is unknown.
    """

    def __init__(self,
                 depth_metrics: Sequence[str] | None = None,
                 crop_type: str | None = None,
                 **kwargs) -> None:
        unknown = set(depth_metrics or ()) - set(self.METRICS)
        if unknown or crop_type not in CROPS:
            raise UserError(
                f'DepthMetric: depth_metrics={depth_metrics} and crop_type='
                f'{crop_type!r}; choose from the metrics '
                f'{", ".join(self.METRICS)} and the crops {CROPS}')
        super().__init__(**kwargs)
        if depth_metrics is not None:
            self.metrics = tuple(depth_metrics)
        self.crop_type = crop_type

    def _get_eval_mask(self, gt_depth: Tensor) -> Tensor:
        """The pixels to compare, ``(H, W)`` bool."""
        height, width = size = tuple(gt_depth.shape)
        if self.crop_type == 'nyu_crop' and size != NYU_SIZE:
            raise UserError(
                "crop_type='nyu_crop' is for depth maps of "
                f'{NYU_SIZE[0]}×{NYU_SIZE[1]} pixels (height × width), and '
                f'one is {height}×{width}. Set crop_type=None.')
        mask = super()._get_eval_mask(gt_depth)
        if self.crop_type == 'garg_crop':
            sides = height, height, width, width
            top, bottom, left, right = map(int, np.multiply(GARG, sides))
            inside = torch.zeros_like(mask)
            inside[top:bottom, left:right] = True
            mask &= inside
        return mask

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute means over images.

        Args:
            results: True and predicted depth of each image.

        Returns:
            Values by the names of the metrics.

        Raises:
            UserError: If no image has known depth.
        """
        known = [(truth, pred) for truth, pred in results if len(truth)]
        if not known and not self.format_only:
            raise UserError(
                f'none of {len(results)} images has a depth between '
                f'{self.min_depth_eval:g} and {self.max_depth_eval:g} m '
                '(min_depth_eval and max_depth_eval). Check '
                'depth_rescale_factor of LoadDepth in the test pipeline.')
        if len(known) < len(results):
            print_log(
                f'{len(results) - len(known)} of {len(results)} images have '
                'no known depth in the range and are skipped', 'current')
        return super().compute_metrics(known)
