"""mmpose's visualizer draws dots whose radius is an array."""
import numpy as np
import pytest


@pytest.mark.parametrize('alpha', [1., .5])
def test_a_dot_is_as_large_as_the_array_says(alpha):
    pytest.importorskip('mmpose')
    from mmpose.visualization.opencv_backend_visualizer import \
        OpencvBackendVisualizer
    visualizer = OpencvBackendVisualizer(backend='opencv')
    visualizer.set_image(np.zeros((21, 21, 3), np.uint8))
    visualizer.draw_circles(
        np.array([10., 10.]),
        radius=np.array([4]),
        face_colors=(255, 0, 0),
        alpha=alpha)
    dot = visualizer.get_image()[..., 0] > 100
    assert dot[10].sum() == dot[:, 10].sum() == 9
