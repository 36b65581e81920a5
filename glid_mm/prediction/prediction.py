"""The prediction of a model for one picture."""
import dataclasses
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as rle

from ..errors import UserError
from ..io.files import write_atomically
from .pictures import Picture

if TYPE_CHECKING:
    from .predictor import Predictor

Array = np.ndarray | torch.Tensor
# mmdet's value is class + 1000 · number of the object.
_OFFSET = 1000
# mmpose ranks poses by keypoints with higher scores.
_LIKELY = 0.2


class Origin(NamedTuple):
    """The origin of a prediction.

    Attributes:
        predictor: Predictor that made it.
        picture: Its picture.
        threshold: Score threshold.
        detected: Whether a detector found the boxes of poses.
    """

    predictor: 'Predictor'
    picture: Picture
    threshold: float
    detected: bool


@dataclass(repr=False, eq=False)
class Prediction:
    """The prediction for one picture; results of other tasks are None.

    Pixels refer to the picture turned upright.

    Attributes:
        name: Name of the picture, without its suffix.
        task: See :class:`Predictor`.
        size: Height and width in pixels.
        boxes: ``(N, 4)`` float32: left, top, right and bottom edge in pixels.
        scores: ``(N, )`` float32, of boxes, between 0 and 1.
        labels: ``(N, )`` int64, the classes of boxes.
        names: ``N``, the names of these classes.
        masks: ``(N, H, W)`` bool.
        semantic: ``(H, W)``, the class of each pixel.
        panoptic: ``(H, W)`` int32, the segment of each pixel, 0 for none.
        segments: Segments of ``panoptic``: ``id``, ``label``, ``name`` and
            ``area`` in pixels.
        depth: ``(H, W)`` float32, in metres.
        keypoints: ``(N, K, 2)`` float32, x and y in pixels.
        keypoint_scores: ``(N, K)`` float32.
    """

    name: str
    task: str
    size: tuple[int, int]
    _origin: Origin
    _sample: Any
    boxes: Array | None = None
    scores: Array | None = None
    labels: Array | None = None
    names: list[str] | None = None
    masks: Array | None = None
    semantic: Array | None = None
    panoptic: Array | None = None
    segments: list[dict] | None = None
    depth: Array | None = None
    keypoints: Array | None = None
    keypoint_scores: Array | None = None

    def __repr__(self) -> str:
        height, width = self.size
        if self.names is not None or self.segments is not None:
            names = self.names or [s['name'] for s in self.segments or ()]
            what = ', '.join(f'{n} {name}'
                             for name, n in Counter(names).most_common())
        elif self.keypoints is not None:
            count = len(self.keypoints)
            what = f'{count} pose' + 's' * (count != 1)
        elif self.depth is not None:
            what = f'{self.depth.min():.2f} to {self.depth.max():.2f} m'
        else:
            classes = np.unique(np.asarray(self.semantic))
            what = ', '.join(self.class_name(c) for c in classes)
        return (f'{type(self).__name__}({self.name!r}, {self.task}, '
                f'{width}×{height}: {what or "nothing"})')

    def to_torch(self) -> 'Prediction':
        """A copy with tensors (on the CPU) in place of arrays."""
        return dataclasses.replace(
            self, **{
                name: torch.from_numpy(value)
                for name, value in vars(self).items()
                if isinstance(value, np.ndarray)
            })

    def plot(self) -> Image.Image:
        """Draw the prediction over its picture, as the host library does.

        Returns:
            RGB, of the picture's size; depth lies beside the picture, with a
            scale.

        Raises:
            UserError: If the picture's file no longer exists.
        """
        origin = self._origin
        return Image.fromarray(
            origin.predictor.draw(origin, self._sample,
                                  origin.picture.pixels()))

    def save(self, folder: str | Path) -> list[Path]:
        """Write drawing and data, named like the picture.

        Args:
            folder: ``vis/NAME.png`` in it is the drawing, ``pred/NAME.json``
                has all data except maps, and ``pred/NAME.png`` has the map, if
                there is one: classes of pixels; ids of segments as COCO
                colours (red + 256 · green + 65536 · blue); or depth in 16
                bits, ``png_scale`` units per metre.

        Returns:
            The files.
        """
        files = {f'vis/{self.name}.png': _png(self.plot())}
        facts = self.to_dict()
        if self.panoptic is not None:
            ids = np.asarray(self.panoptic)
            colours = np.stack([ids >> shift & 255 for shift in (0, 8, 16)], 2)
            files[f'pred/{self.name}.png'] = _png(
                Image.fromarray(colours.astype(np.uint8)))
        elif self.semantic is not None or self.depth is not None:
            files[f'pred/{self.name}.png'] = _png(
                Image.fromarray(self._origin.predictor.levels(self._sample)))
        if self.depth is not None:
            facts['png_scale'] = self._origin.predictor.png_scale
        files[f'pred/{self.name}.json'] = json.dumps(facts).encode()
        paths = []
        for name, data in files.items():
            paths.append(Path(folder, name))
            write_atomically(paths[-1], data)
        return paths

    def to_dict(self) -> dict:
        """All data except maps as plain JSON values; masks as COCO's RLE."""
        facts = dict(
            name=self.name,
            task=self.task,
            height=self.size[0],
            width=self.size[1],
            classes=list(self._origin.predictor.classes))
        for name in ('boxes', 'scores', 'labels', 'names', 'segments',
                     'keypoints', 'keypoint_scores'):
            value = getattr(self, name)
            if value is not None:
                facts[name] = value if isinstance(
                    value, list) else np.asarray(value).tolist()
        if self.masks is not None:
            facts['masks'] = [_encode(mask) for mask in self.masks]
        return facts

    def to_coco(self,
                image_id: int | str | None = None,
                category_ids: Sequence[int] | None = None) -> list[dict]:
        """The prediction in COCO's results format.

        Args:
            image_id: The picture's id in the data set; by default its name.
            category_ids: The id of each class, by label; by default 1, 2 and
                so on.

        Returns:
            Entries with ``image_id``, ``category_id`` and ``score``; and
            ``bbox`` (left, top, width, height), ``segmentation`` (RLE) or
            ``keypoints``. A semantic map gives one per class, without a score;
            a panoptic map gives one, with ``segments_info``.

        Raises:
            UserError: If the task is depth, which COCO lacks.
        """
        image_id = self.name if image_id is None else image_id
        classes = self._origin.predictor.classes
        ids = category_ids or range(1, len(classes) + 2)
        if self.depth is not None:
            raise UserError('COCO has no format for depth. Use '
                            'prediction.depth, or prediction.save(folder).')
        if self.panoptic is not None:
            return [
                dict(
                    image_id=image_id,
                    file_name=f'{self.name}.png',
                    segments_info=[
                        dict(
                            id=s['id'],
                            category_id=ids[s['label']],
                            area=s['area']) for s in self.segments
                    ])
            ]
        if self.semantic is not None:
            semantic = np.asarray(self.semantic)
            return [
                dict(
                    image_id=image_id,
                    category_id=ids[label],
                    segmentation=_encode(semantic == label))
                for label in np.unique(semantic).tolist()
            ]
        results = []
        for i, (left, top, right,
                bottom) in enumerate(np.asarray(self.boxes).tolist()):
            result = dict(
                image_id=image_id,
                category_id=ids[0 if self.labels is
                                None else int(self.labels[i])],
                bbox=[left, top, right - left, bottom - top],
                score=float(self.scores[i]))
            if self.masks is not None:
                result['segmentation'] = _encode(self.masks[i])
            if self.keypoints is not None:
                scores = np.asarray(self.keypoint_scores[i])
                result['keypoints'] = np.column_stack(
                    [np.asarray(self.keypoints[i]), scores]).ravel().tolist()
                # Rank poses like mmpose, by keypoints that are likely there.
                scores = scores[scores > _LIKELY]
                result['score'] *= float(scores.mean()) if scores.size else 0.
            results.append(result)
        return results

    def class_name(self, label: int) -> str:
        """The name of a class."""
        classes = self._origin.predictor.classes
        return classes[label] if label < len(classes) else f'class {label}'


def prediction_of(origin: Origin, sample, size: tuple[int, int]) -> Prediction:
    """Make a prediction from a host's data sample.

    Args:
        origin: Its origin.
        sample (BaseDataElement): The host's data sample.
        size: Height and width of the picture.

    Returns:
        The prediction, with only the objects above the threshold.
    """
    # These are as large as the maps of all classes and never read.
    for name in ('seg_logits', 'pred_fields'):
        if name in sample:
            delattr(sample, name)
    sample = sample.cpu()
    task = origin.predictor.task
    result = Prediction(origin.picture.name, task, size, origin, sample)
    if task == 'pose':
        _add_poses(result, sample.pred_instances)
    elif 'pred_instances' in sample:
        found = sample.pred_instances
        sample.pred_instances = found[found.scores > origin.threshold]
        _add_instances(result, sample.pred_instances)
    if 'pred_panoptic_seg' in sample:
        _add_segments(result, sample.pred_panoptic_seg.sem_seg[0].numpy())
    if 'pred_sem_seg' in sample:
        result.semantic = sample.pred_sem_seg.data[0].numpy()
    if 'pred_depth_map' in sample:
        result.depth = sample.pred_depth_map.data[0].float().numpy()
    return result


def _add_instances(result: Prediction, found) -> None:
    result.boxes = found.bboxes.float().numpy().reshape(-1, 4)
    result.scores = found.scores.float().numpy()
    result.labels = found.labels.numpy()
    result.names = [result.class_name(label) for label in result.labels]
    if 'masks' in found:
        result.masks = found.masks.numpy()


def _add_poses(result: Prediction, found) -> None:
    for name, key in dict(
            boxes='bboxes',
            scores='bbox_scores',
            keypoints='keypoints',
            keypoint_scores='keypoint_scores').items():
        setattr(result, name, np.asarray(found[key], np.float32))


def _add_segments(result: Prediction, codes: np.ndarray) -> None:
    nothing = len(result._origin.predictor.classes)
    result.panoptic = np.zeros(codes.shape, np.int32)
    result.segments = []
    for code in np.unique(codes).tolist():
        label = code % _OFFSET
        if label == nothing:
            continue
        number = len(result.segments) + 1
        result.panoptic[codes == code] = number
        result.segments.append(
            dict(
                id=number,
                label=label,
                name=result.class_name(label),
                area=int((codes == code).sum())))


def _encode(mask: Array) -> dict:
    found = rle.encode(np.asfortranarray(np.asarray(mask), np.uint8))
    return dict(size=list(found['size']), counts=found['counts'].decode())


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, 'PNG')
    return buffer.getvalue()
