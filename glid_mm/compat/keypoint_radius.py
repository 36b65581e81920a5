"""Fixes: mmpose draws no keypoints with NumPy 2.5 and later.

It passes the radius of a dot to OpenCV as an array with one number, and
NumPy no longer converts such an array to a number.
"""
import functools

from .import_hooks import after_import


def _take_the_number(module) -> None:
    visualizer = module.OpencvBackendVisualizer
    draw = visualizer.draw_circles

    @functools.wraps(draw)
    def draw_circles(self, center, radius, *args, **kwargs):
        if self.backend == 'opencv' and getattr(radius, 'size', 0) == 1:
            radius = radius.item()
        return draw(self, center, radius, *args, **kwargs)

    visualizer.draw_circles = draw_circles


def install() -> None:
    """Wait for mmpose's visualizer."""
    after_import('mmpose.visualization.opencv_backend_visualizer',
                 _take_the_number)
