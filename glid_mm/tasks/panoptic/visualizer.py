"""Draw panoptic maps over images, including empty maps."""
import numpy as np
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import PixelData

from ...registry import VISUALIZERS


@VISUALIZERS.register_module()
class PanopticVisualizer(DetLocalVisualizer):
    """mmdet's visualizer, extended to draw empty maps.

    Args:
        **kwargs: See ``mmdet.visualization.DetLocalVisualizer``.
    """

    def _draw_panoptic_seg(self, image: np.ndarray, panoptic_seg: PixelData,
                           classes: list[str] | None,
                           palette: list | None) -> np.ndarray:
        panoptic_seg = panoptic_seg.numpy()
        if (panoptic_seg.sem_seg == len(classes)).all():
            return image
        return super()._draw_panoptic_seg(image, panoptic_seg, classes,
                                          palette)
