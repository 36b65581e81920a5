"""Draw depth in colours, with a scale."""
import cv2
import mmcv
import numpy as np
from mmengine.dist import master_only
from mmseg.visualization import SegLocalVisualizer
from PIL import Image, ImageDraw, ImageFont

from ...registry import VISUALIZERS
from ...visualization.panels import BACKGROUND, tile

# Colour of unknown depth; the colour map has no grey.
UNKNOWN = 128
# With outliers, all other pixels would have the same colour.
PERCENTILES = 2, 98


def depth_range(depth: np.ndarray) -> tuple[float, float]:
    """A range for colours.

    Args:
        depth: ``(H, W)`` in metres; 0, NaN or infinite where unknown.

    Returns:
        Smallest and largest depth of most known pixels.
    """
    known = depth[_known(depth)]
    if not known.size:
        return 1., 10.
    low, high = np.percentile(known, PERCENTILES).tolist()
    # An empty range has no colours.
    return low, max(high, 1.01 * low)


def depth_picture(depth: np.ndarray,
                  limits: tuple[float, float] | None = None) -> np.ndarray:
    """Colour depth: near yellow, far blue, equal ratios equal steps.

    Args:
        depth: ``(H, W)`` in metres; 0, NaN or infinite where unknown, which
            is grey.
        limits: The ends of the colours; by default :func:`depth_range`.

    Returns:
        ``(H + h, W, 3)`` uint8 RGB, with a scale bar below.
    """
    low, high = limits or depth_range(depth)
    known = _known(depth)
    # The bar ends at a ratio of 1.
    ratios = np.log(np.where(known, depth, low) / low) / np.log(high / low)
    picture = _colours(ratios)
    picture[~known] = UNKNOWN
    return np.concatenate([picture, _scale_bar(depth.shape[1], low, high)])


def _known(depth: np.ndarray) -> np.ndarray:
    return (depth > 0) & np.isfinite(depth)


def _colours(ratios: np.ndarray) -> np.ndarray:
    """RGB of ratios, 0 near, 1 far, clipped at both ends."""
    levels = np.rint(255 * (1 - ratios.clip(0, 1))).astype(np.uint8)
    return cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS)[..., ::-1].copy()


def _scale_bar(width: int, low: float, high: float) -> np.ndarray:
    """A strip of colours with labels below."""
    size = max(10, width // 40)
    bar = np.full((size // 2 + 2 + size + 3, width, 3), BACKGROUND, np.uint8)
    bar[2:2 + size // 2] = _colours(np.linspace(0, 1, width)[None])
    picture = Image.fromarray(bar)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size)
    ticks = [(0, low, 'la'), (width - 1, high, 'ra')]
    if width >= 12 * size:
        ticks.append((width // 2, (low * high)**.5, 'ma'))
    for x, value, anchor in ticks:
        text = f'{value:.2f} m' if value < 10 else f'{value:.1f} m'
        draw.text((x, 2 + size // 2), text, 0, font, anchor)
    return np.array(picture)


@VISUALIZERS.register_module()
class DepthVisualizer(SegLocalVisualizer):
    """mmseg's visualizer with depth in comparable colours.

    True and predicted depth of an image share a scale, that of the truth if it
    is known, also if drawn one at a time.

    Args:
        **kwargs: See ``mmseg.visualization.SegLocalVisualizer``.
    """

    def draw(self,
             image: np.ndarray,
             data_sample=None,
             draw_gt: bool = True,
             draw_pred: bool = True,
             with_image: bool = False) -> np.ndarray:
        """Draw depth.

        Args:
            image: ``(H, W, 3)`` uint8 RGB.
            data_sample (SegDataSample, optional): Samples with
                ``gt_depth_map``, ``pred_depth_map`` or both.
            draw_gt: Whether to draw the truth, if there is one.
            draw_pred: Whether to draw the prediction, if there is one.
            with_image: Whether to put the image to the left.

        Returns:
            ``(H', W', 3)`` uint8 RGB; the image itself if there is no depth to
            draw.
        """
        depths = {
            key: data_sample.get(key).data.squeeze(0).cpu().float().numpy()
            for key in ('gt_depth_map', 'pred_depth_map')
            if data_sample is not None and key in data_sample
        }
        limits = next((depth_range(depth)
                       for depth in depths.values() if _known(depth).any()),
                      None)
        wanted = [
            depth_picture(depths[key], limits)
            for key, draw in (('gt_depth_map', draw_gt), ('pred_depth_map',
                                                          draw_pred))
            if draw and key in depths
        ]
        if with_image or not wanted:
            wanted.insert(0, image)
        return tile([wanted])

    @master_only
    def add_datasample(self,
                       name: str,
                       image: np.ndarray,
                       data_sample=None,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       show: bool = False,
                       wait_time: float = 0,
                       out_file: str | None = None,
                       step: int = 0,
                       with_image: bool = False,
                       **kwargs) -> None:
        """Draw depth and show or save it.

        Args:
            name: Name of the image.
            image, data_sample, draw_gt, draw_pred, with_image: See
                :meth:`draw`.
            show, wait_time, out_file, step: See ``SegLocalVisualizer``.
            **kwargs: Options for labels, which depth does not have.
        """
        drawn = self.draw(image, data_sample, draw_gt, draw_pred, with_image)
        self.set_image(drawn)
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(mmcv.rgb2bgr(drawn), out_file)
        else:
            self.add_image(name, drawn, step)
