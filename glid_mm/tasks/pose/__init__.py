"""Keypoints of people, animals and things, top-down, with mmpose."""
from ...compat import prepare

prepare('mmengine', 'mmcv', 'mmdet', 'mmpose', task='pose estimation')

from .coco_dataset import CocoPoseDataset  # noqa: E402
from .estimator import GLIDPoseEstimator  # noqa: E402
from .heatmap_head import QueryHeatmapHead  # noqa: E402
from .inferencer import PoseInferencer  # noqa: E402
from .keypoint_check_hook import KeypointCheckHook  # noqa: E402
from .loading import LoadImage  # noqa: E402
from .smooth_l1_loss import SoftWeightSmoothL1Loss  # noqa: E402

__all__ = [
    'CocoPoseDataset', 'GLIDPoseEstimator', 'KeypointCheckHook', 'LoadImage',
    'PoseInferencer', 'QueryHeatmapHead', 'SoftWeightSmoothL1Loss'
]
