"""The graph for pose, with mmpose's decoding of heatmaps."""
from collections.abc import Callable, Mapping

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from .agreement import largest
from .graph import Answers, Graph


class Pose(Graph):
    """Keypoints of the person in a crop, which fills the input."""
    INPUTS: Mapping[str, str] = dict(
        images='(N, H, W, 3) uint8: RGB, each a crop of one person')
    OUTPUTS: Mapping[str, str] = dict(
        keypoints='(N, K, 2) float32: x, y in pixels of the input',
        scores='(N, K) float32: heights of the peaks, about 0 to 1',
        heatmaps='(N, K, H/4, W/4) float32: source of the keypoints')

    def __init__(self, model: nn.Module, size: tuple[int, int],
                 meta: Mapping) -> None:
        super().__init__(model, size, meta)
        codec = model.head.decoder
        if codec is None:
            raise UserError('the head has no codec (model.head.decoder) to '
                            'decode keypoints. Set the codec that was used in '
                            'training.')
        if tuple(codec.input_size) != size[::-1]:
            width, height = codec.input_size
            raise UserError(
                f'size={size}: the codec (model.head.decoder) is for crops of '
                f'{height}×{width} pixels. Omit size, or train with another '
                'input_size.')
        model.test_cfg = dict(model.test_cfg or {}, output_heatmaps=True)

    @staticmethod
    def host_class() -> type:
        from ..tasks.pose import GLIDPoseEstimator
        return GLIDPoseEstimator

    def decide(self, x: Tensor, sizes: None = None) -> tuple[Tensor, ...]:
        head, config = self.model.head, self.model.test_cfg
        flip = config.get('flip_test')
        if flip:
            # One batch for both keeps the graph half as large.
            x = torch.cat([x, x.flip(-1)])
        heatmaps = head(self.model.extract_feat(x))
        if flip:
            from mmpose.models.utils.tta import flip_heatmaps
            heatmaps, mirrored = heatmaps.unflatten(0, (2, -1)).unbind()
            mirrored = flip_heatmaps(
                mirrored,
                flip_mode=config.get('flip_mode', 'heatmap'),
                flip_indices=self._swaps(),
                shift_heatmap=config.get('shift_heatmap', False))
            heatmaps = (heatmaps + mirrored) * .5
        return *decode(head.decoder, heatmaps), heatmaps

    def sample(self, size):
        from mmengine.structures import InstanceData
        from mmpose.structures import PoseDataSample
        sides = np.array(size[::-1], np.float32)
        meta = dict(
            self.metas(size),
            flip_indices=self._swaps(),
            input_center=sides / 2,
            input_scale=sides,
            input_size=sides)
        box = np.array([[0, 0, *sides]], np.float32)
        person = InstanceData(bboxes=box, bbox_scores=np.ones(1, np.float32))
        return PoseDataSample(metainfo=meta, gt_instances=person)

    def read(self, sample) -> Answers:
        found = sample.pred_instances
        return dict(
            keypoints=found.keypoints[0],
            scores=found.keypoint_scores[0],
            heatmaps=sample.pred_fields.heatmaps.numpy())

    def compare(self, host: Answers, ours: Answers) -> dict[str, float]:
        heatmaps = ours['heatmaps']
        scale = np.abs(host['heatmaps']).max(initial=1e-12)
        # The maps must agree. Keypoints must agree with the codec's for the
        # same maps, up to the effect of changing the values by a millionth,
        # which is large where a map is flat.
        places = self._places(heatmaps)
        rng = np.random.default_rng(0)
        sway = [
            np.abs(self._places(heatmaps * noise) - places)
            for noise in 1 + rng.uniform(-1e-6, 1e-6, (3, *heatmaps.shape))
        ]
        apart = np.abs(places - ours['keypoints']) - 10 * np.max(sway, 0)
        return dict(
            keypoints=largest(apart.clip(0), 0 * apart, max(self.size)),
            scores=largest(host['scores'], ours['scores'], scale),
            heatmaps=largest(host['heatmaps'], heatmaps, scale))

    def _places(self, heatmaps: np.ndarray) -> np.ndarray:
        codec = self.model.head.decoder
        (places, ), _ = codec.decode(heatmaps.astype(np.float32))
        return places

    def facts(self) -> dict:
        names = self.meta.get('keypoint_id2name', {})
        return dict(
            keypoints=[names[i] for i in sorted(names)],
            skeleton=[
                list(map(int, link))
                for link in self.meta.get('skeleton_links', ())
            ])

    def _swaps(self) -> list[int] | None:
        """The mirrored counterpart of each keypoint."""
        swaps = self.meta.get('flip_indices')
        return None if swaps is None else list(swaps)


def decode(codec, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Decode heatmaps as mmpose's codecs do.

    Args:
        codec (MSRAHeatmap | UDPHeatmap): The head's codec.
        heatmaps: ``(N, K, h, w)``.

    Returns:
        Positions ``(N, K, 2)``, x and y in pixels of the input, and scores
        ``(N, K)``.
    """
    scores = heatmaps.flatten(2).amax(2)
    index = heatmaps.flatten(2).argmax(2)
    width = heatmaps.shape[-1]
    peak = torch.stack([index % width, index // width], -1)
    peak = torch.where(scores[..., None] > 0, peak, -1)
    last = heatmaps.new_tensor([width - 1, heatmaps.shape[-2] - 1])
    if type(codec).__name__ == 'UDPHeatmap':
        refined = _udp(heatmaps, peak, codec.blur_kernel_size)
        scale = heatmaps.new_tensor(codec.input_size) / last
    else:
        if codec.unbiased:
            refined = _dark(heatmaps, peak, codec.blur_kernel_size)
        else:
            refined = _quarter(heatmaps, peak)
        scale = heatmaps.new_tensor(np.array(codec.scale_factor))
    return refined * scale, scores


def _quarter(heatmaps: Tensor, peak: Tensor) -> Tensor:
    """Shift by a quarter of a pixel towards the higher neighbour."""
    height, width = heatmaps.shape[-2:]
    x, y = peak.unbind(-1)
    at = _reader(heatmaps, peak, 1)
    inner = ((x > 1) & (x < width - 1) & (y > 0),
             (y > 1) & (y < height - 1) & (x > 0))
    steps = at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)
    return peak + .25 * torch.stack(
        [step.sign() * there for step, there in zip(steps, inner)], -1)


def _dark(heatmaps: Tensor, peak: Tensor, kernel: int) -> Tensor:
    """Newton's step on the logarithm, away from the border (DARK)."""
    height, width = heatmaps.shape[-2:]
    x, y = peak.unbind(-1)
    at = _reader(_blur(heatmaps, kernel).clamp(min=1e-10).log(), peak, 2)
    slope = .5 * (at(1, 0) - at(-1, 0)), .5 * (at(0, 1) - at(0, -1))
    xx = .25 * (at(2, 0) - 2 * at(0, 0) + at(-2, 0))
    xy = .25 * (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1))
    yy = .25 * (at(0, 2) - 2 * at(0, 0) + at(0, -2))
    inner = ((x > 1) & (x < width - 2) & (y > 1) & (y < height - 2) &
             (xx * yy - xy**2 != 0))
    step = _newton(slope, xx, xy, yy, inner)
    return peak - torch.where(inner[..., None], step, 0.)


def _udp(heatmaps: Tensor, peak: Tensor, kernel: int) -> Tensor:
    """Newton's step on the logarithm, everywhere (UDP)."""
    at = _reader(_blur(heatmaps, kernel).clamp(1e-3, 50.).log(), peak, 1)
    slope = .5 * (at(1, 0) - at(-1, 0)), .5 * (at(0, 1) - at(0, -1))
    xx = at(1, 0) - 2 * at(0, 0) + at(-1, 0)
    yy = at(0, 1) - 2 * at(0, 0) + at(0, -1)
    xy = .5 * (
        at(1, 1) - at(1, 0) - at(0, 1) + at(0, 0) + at(0, 0) - at(-1, 0) -
        at(0, -1) + at(-1, -1))
    tiny = float(np.finfo(np.float32).eps)
    return peak - _newton(slope, xx.double() + tiny, xy, yy.double() + tiny)


def _newton(slope: tuple[Tensor, Tensor],
            xx: Tensor,
            xy: Tensor,
            yy: Tensor,
            solvable: Tensor | None = None) -> Tensor:
    """Inverse of a symmetric matrix times a vector, ``(..., 2)``."""
    xx, xy, yy, dx, dy = (t.double() for t in (xx, xy, yy, *slope))
    size = xx * yy - xy**2
    if solvable is not None:
        size = torch.where(solvable, size, 1.)
    step = torch.stack([yy * dx - xy * dy, xx * dy - xy * dx], -1)
    return (step / size[..., None]).float()


def _reader(maps: Tensor, peak: Tensor,
            rim: int) -> Callable[[int, int], Tensor]:
    """Read maps ``(N, K, h, w)`` at offsets from points ``(N, K, 2)``.

    Beyond the border, up to ``rim`` pixels, it reads border values. Without a
    peak, mmpose's indices leave the map; they wrap around, as in NumPy.
    """
    padded = F.pad(maps, (rim, ) * 4, mode='replicate')
    width = padded.shape[-1]
    each = padded.shape[-2] * width
    flat = padded.flatten(1)
    start = torch.arange(maps.shape[1], device=maps.device) * each
    place = start + (peak[..., 1] + rim) * width + peak[..., 0] + rim
    return lambda x, y: flat.gather(1, (place + y * width + x) % flat.shape[1])


def _blur(heatmaps: Tensor, kernel: int) -> Tensor:
    """OpenCV's Gaussian blur with zero padding; maxima keep their height."""
    line = torch.from_numpy(cv2.getGaussianKernel(kernel, 0, cv2.CV_32F))
    weight = (line @ line.t())[None, None].to(heatmaps.device)
    blurred = F.conv2d(
        heatmaps.flatten(0, 1)[:, None], weight, padding=kernel // 2)
    blurred = blurred[:, 0].unflatten(0, (-1, heatmaps.shape[1]))
    highest, own = (x.amax((2, 3), keepdim=True) for x in (heatmaps, blurred))
    return blurred * (highest / own)
