"""GLID as a pose estimator for mmpose."""
from mmpose.models import TopdownPoseEstimator

from ...registry import MODELS
from ..common import check_widths


@MODELS.register_module()
class GLIDPoseEstimator(TopdownPoseEstimator):
    """``TopdownPoseEstimator`` that checks that head and backbone fit.

    Args:
        backbone (dict): ``glid_mm.GLID``; ``num_queries`` is the number of
            keypoints.
        head (dict): ``glid_mm.QueryHeatmapHead``.
        **kwargs: See ``mmpose.models.TopdownPoseEstimator``.

    Raises:
        UserError: If they do not fit.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_widths(self, 'head')
