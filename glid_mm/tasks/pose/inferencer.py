"""Predict skeletons from images: first a detector, then the pose model."""
import logging
import mimetypes
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from mmpose.apis import Pose2DInferencer
from mmpose.evaluation.functional import nms
from mmpose.structures import PoseDataSample

from ...datasets.decode import bgr
from ...datasets.loading import load_image
from ...errors import UserError
from ...visualization.images import list_inputs


class PoseInferencer(Pose2DInferencer):
    """mmpose's top-down inferencer, for detectors of any classes.

    Detector and top-down pose model come from any configs of mmdet and
    mmpose, including ours. If the detector finds no person, there are no
    skeletons; mmpose's inferencer would use the whole image as a person.

    Args:
        model (str | Config): Config of the pose model, or its path.
        weights: Its checkpoint.
        det_model: Path of the detector's config; without one the whole image
            is a person.
        det_weights: Its checkpoint.
        det_class: The detector's class whose boxes are used.
        device: Device to compute on.

    Raises:
        UserError: If the detector has no such class.
    """

    def __init__(self,
                 model,
                 weights: str,
                 det_model: str | None = None,
                 det_weights: str | None = None,
                 det_class: str = 'person',
                 device: str | None = None) -> None:
        super().__init__(
            model,
            weights,
            device,
            det_model=det_model or 'whole_image',
            det_weights=det_weights)
        if self.detector is not None:
            classes = self.detector.model.dataset_meta['classes']
            if det_class not in classes:
                raise UserError(
                    f'the detector has no class {det_class!r}; its classes '
                    f'are {", ".join(classes)}')
            self.det_cat_ids = [classes.index(det_class)]

    def _inputs_to_list(self, inputs) -> Sequence[str | np.ndarray]:
        """List images and paths of images, or the frames of a video.

        Args:
            inputs (str | Path | ndarray | list): Images: files, folders,
                ``(H, W, 3)`` BGR, or a list of these; or a video.

        Raises:
            UserError: If there is no such file, a folder has no images, or
                an array is not an image.
        """
        if is_video(inputs):
            return super()._inputs_to_list(str(inputs))
        # Otherwise a previous video would continue.
        self._video_input = False
        return list_inputs(inputs)

    def preprocess(self, inputs: Sequence[str | np.ndarray],
                   **kwargs) -> Iterator[tuple]:
        """Prepare images one by one.

        Args:
            inputs: Paths, or ``(H, W, 3)`` BGR.
            **kwargs: See :meth:`preprocess_single`; other arguments of
                mmpose's inferencers have no effect.

        Yields:
            A batch of the image's persons, or the image's name if there are
            none, and the image.

        Raises:
            UserError: If an image cannot be read.
        """
        for index, image in enumerate(inputs):
            name = image if isinstance(image, str) else f'{index:06d}.jpg'
            if isinstance(image, str):
                # Detector, pose model and drawing use the same pixels.
                image = bgr(load_image(image))
            persons = self.preprocess_single(image, name, **kwargs)
            if not persons:
                print_log(
                    f'no person found in {name} with a score above the '
                    'threshold (bbox_thr)', 'current', logging.WARNING)
            yield self.collate_fn(persons) if persons else name, [image]

    def preprocess_single(self,
                          input: np.ndarray,
                          name: str,
                          bbox_thr: float = .3,
                          nms_thr: float = .3,
                          **kwargs) -> list[dict]:
        """Detect persons and crop them.

        Args:
            input: ``(H, W, 3)`` uint8, BGR.
            name: Its path or name.
            bbox_thr: Minimum score of boxes.
            nms_thr: Overlap (IoU) above which the box with the lower score is
                removed.
            **kwargs: Not used.

        Returns:
            A sample for each person.
        """
        if self.detector is None:
            boxes = np.array([[0, 0, *input.shape[1::-1], 1]], np.float32)
        else:
            answer = self.detector(input, return_datasamples=True)
            found = answer['predictions'][0].pred_instances.cpu().numpy()
            found = found[np.isin(found.labels, self.det_cat_ids)
                          & (found.scores > bbox_thr)]
            boxes = np.hstack([found.bboxes, found.scores[:, None]])
            boxes = boxes[nms(boxes, nms_thr)]
        return [
            self.pipeline({
                **self.model.dataset_meta, 'img': input,
                'img_path': name,
                'bbox': box[None, :4],
                'bbox_score': box[4:]
            }) for box in boxes
        ]

    def forward(self, inputs: dict | str, **kwargs) -> list[PoseDataSample]:
        """Skeletons of an image.

        Args:
            inputs: A result of :meth:`preprocess`.
            **kwargs: See ``Pose2DInferencer``.

        Returns:
            A single sample with all persons of the image.
        """
        if not isinstance(inputs, str):
            return super().forward(inputs, **kwargs)
        count = self.model.dataset_meta['num_keypoints']
        nobody = PoseDataSample(metainfo=dict(img_path=inputs))
        nobody.pred_instances = InstanceData(
            keypoints=np.zeros((0, count, 2)),
            keypoint_scores=np.zeros((0, count)),
            bboxes=np.zeros((0, 4)),
            bbox_scores=np.zeros(0))
        return [nobody]


def is_video(path) -> bool:
    """Whether a path has a video's suffix."""
    kind = isinstance(path, (str, Path)) and mimetypes.guess_type(path)[0]
    return str(kind).startswith('video/')
