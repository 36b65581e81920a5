"""Load weights and predict on pictures."""
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DefaultScope

from ..errors import CheckpointError, UserError
from .inferencers import build_inferencer
from .pictures import is_one, list_pictures
from .prediction import Origin, Prediction, prediction_of
from .reconstruction import Reconstruction, build, reconstruct
from .runs import Run, read_run
from .tasks import choose_task, detecting, tasks_of


def load(run_or_weights: str | Path,
         device: str | None = None,
         task: str | None = None,
         config: str | Path | Config | None = None) -> 'Predictor':
    """Load weights for use; see :func:`glid_mm.load`."""
    return Predictor(read_run(run_or_weights, config), device, task)


class Predictor:
    """A model with its weights and the inferencer of its host library.

    Args:
        run: Weights and their config.
        device: Device to compute on, such as ``'cuda:1'``; by default a GPU if
            there is one.
        task: The task of a mixture to use, or the expected task of other
            weights.

    Attributes:
        model (nn.Module): The host's model, in eval mode, on the device.
        config (Config): The task's config; for a mixture, the task's part.
        task (str): 'semantic', 'instance', 'panoptic', 'detection', 'depth',
            'pose' or 'pretrain'.
        name (str): The mixture's name for this task; otherwise equal to
            `task`.
        tasks (dict[str, str]): All tasks of the weights: kinds such as
            `task` by name.
        classes (tuple[str]): Class names by label; empty for depth.
        device (torch.device): The model's device.
        path (Path): File of the weights.

    Raises:
        UserError: If there is no such device; see also :func:`choose_task`.
        CheckpointError: If the weights do not fit the config.
    """

    def __init__(self,
                 run: Run,
                 device: str | None = None,
                 task: str | None = None) -> None:
        self._run = run
        self.path = run.path
        self.tasks = tasks_of(run.config)
        self.device = choose_device(device)
        self.name = choose_task(run.config, task)
        self.task = self.tasks[self.name]
        single = run.take(self.name)
        self.config = single.config
        self._inferencer = None
        try:
            with self._scope():
                if self.task == 'pretrain':
                    self.model = build(single, self.device)
                else:
                    self._inferencer = build_inferencer(
                        self.task, self.config, single.checkpoint,
                        str(self.device))
                    self.model = self._inferencer.model
        except CheckpointError as error:
            raise error.of(run.path) from error
        # mmseg also gives depth a class.
        meta = getattr(self.model, 'dataset_meta',
                       {}) if self.task != 'depth' else {}
        # mmpose keeps COCO's entries.
        self.classes = tuple(c['name'] if isinstance(c, Mapping) else c
                             for c in meta.get('classes') or ())

    def __repr__(self) -> str:
        classes = f', {len(self.classes)} classes' if self.classes else ''
        return (f'{type(self).__name__}({self.task}{classes}, '
                f'{self.path}, {self.device})')

    def of_task(self, task: str) -> 'Predictor':
        """A predictor with the same weights for another of their tasks.

        Args:
            task: One of :attr:`tasks`.

        Raises:
            UserError: If the weights lack the task.
        """
        return Predictor(self._run, str(self.device), task)

    def predict(self, pictures, **options) -> Prediction | list[Prediction]:
        """Predict on pictures.

        Args:
            pictures (str | Path | Image | ndarray | list): A file, a folder,
                a PIL image, an array ``(H, W, 3)`` of uint8 in the order red,
                green, blue, or a list of these.
            **options: See :meth:`stream`.

        Returns:
            A single prediction for one picture; a list for a list or a folder.

        Raises:
            UserError: See :meth:`stream`.
        """
        found = list(self.stream(pictures, **options))
        return found[0] if is_one(pictures) else found

    def stream(self,
               pictures,
               threshold: float = .3,
               batch_size: int = 1,
               detector: 'Predictor | None' = None,
               detector_class: str = 'person') -> Iterator[Prediction]:
        """Predict on pictures one after the other.

        Use this for large folders, whose maps would fill the memory: each
        prediction can be freed before the next.

        Args:
            pictures (str | Path | Image | ndarray | list): See
                :meth:`predict`.
            threshold: Score threshold of boxes and masks, and of keypoints to
                draw. Semantic and panoptic maps and depth have none.
            batch_size: Pictures in a forward pass. Poses are predicted picture
                by picture.
            detector: For detection or instances; finds the people whose poses
                are estimated. Without one, each picture is one person.
            detector_class: The detector's class of people.

        Yields:
            Predictions in the order of the pictures.

        Raises:
            UserError: If a picture is missing, cannot be read or is not a
                picture, or an option does not apply to this task.
        """
        if self._inferencer is None:
            raise UserError(
                f'{self.path} comes from pre-training and has no task yet. '
                'Fine-tune it first: `glid train TASK DATA --weights '
                'WEIGHTS`. To see a reconstruction, call '
                'predictor.reconstruct(picture).')
        if batch_size < 1:
            raise UserError(f'batch_size must be 1 or more, not {batch_size}')
        options = {}
        if self.task == 'pose':
            self._set_detector(detector, detector_class)
            options['bbox_thr'] = threshold
        elif detector is not None:
            raise UserError(
                f'only pose models use a detector, but {self.path} is for '
                f'{self.task}. Omit the detector.')
        pictures = list_pictures(pictures)
        for start in range(0, len(pictures), batch_size):
            part = pictures[start:start + batch_size]
            images = [picture.pixels() for picture in part]
            with self._scope():
                samples = self._samples(images, batch_size, options)
            for picture, image, sample in zip(part, images, samples):
                yield prediction_of(
                    Origin(self, picture, threshold, detector is not None),
                    sample, image.shape[:2])

    def reconstruct(self,
                    picture,
                    masked: np.ndarray | None = None,
                    size: int | None = None) -> Reconstruction:
        """Mask units of a picture and reconstruct them.

        Args:
            picture (str | Path | Image | ndarray): A single picture; its
                centre is cropped and resized.
            masked: ``(size / 32, size / 32)`` bool, True where a unit of 32×32
                pixels is masked; by default drawn as in training.
            size: Side in pixels, a multiple of 32; by default the training
                size.

        Returns:
            The pictures.

        Raises:
            UserError: If the weights are not from pre-training, or the mask or
                the size is invalid; see also :meth:`predict`.
        """
        if self._inferencer is not None:
            raise UserError(f'{self.path} is for {self.task}. Only weights '
                            'from pre-training can reconstruct.')
        if not is_one(picture):
            raise UserError('reconstruct takes one picture at a time')
        return reconstruct(self.model, self.config,
                           list_pictures(picture)[0], masked, size)

    def draw(self, origin: Origin, sample, image: np.ndarray) -> np.ndarray:
        """Draw a prediction for :meth:`Prediction.plot`.

        Args:
            origin: Origin of the prediction.
            sample (BaseDataElement): The output of the host's model.
            image: ``(H, W, 3)`` uint8, BGR.

        Returns:
            ``(H', W', 3)`` uint8, RGB.
        """
        options = {}
        if self.task in ('detection', 'instance', 'panoptic'):
            options = dict(pred_score_thr=origin.threshold)
        elif self.task == 'pose':
            options = dict(kpt_thr=origin.threshold, draw_bbox=origin.detected)
        state = np.random.get_state()
        # mmdet draws mask colours from NumPy's global generator.
        np.random.seed(0)
        try:
            with self._scope(), warnings.catch_warnings():
                # mmengine warns about every box that ends at the picture's
                # edge.
                warnings.simplefilter('ignore', UserWarning)
                drawn, = self._inferencer.visualize([image], [sample],
                                                    return_vis=True,
                                                    **options)
        finally:
            np.random.set_state(state)
        return drawn

    def levels(self, sample) -> np.ndarray:
        """The values of a semantic or depth map in a PNG, ``(H, W)``."""
        return self._inferencer.levels(sample)

    @property
    def png_scale(self) -> int:
        """Units per metre of a depth map's PNG."""
        return self._inferencer.png_scale

    def _scope(self):
        """Make the host's scope the default, where it looks up names."""
        return DefaultScope.overwrite_default_scope(
            self.config.get('default_scope'))

    def _samples(self, images: list, batch_size: int, options: dict) -> list:
        if self.task == 'pose':
            return [
                result['predictions'][0] for result in self._inferencer(
                    images, return_datasamples=True, **options)
            ]
        found = self._inferencer(
            images, batch_size=batch_size, return_datasamples=True)
        if isinstance(found, dict):
            return found['predictions']
        return found if isinstance(found, list) else [found]

    def _set_detector(self, detector: 'Predictor | None', name: str) -> None:
        self._inferencer.detector = None
        if detector is None:
            return
        if detector.name not in detecting(detector.tasks):
            raise UserError(f'{detector.path} is for {detector.task}. The '
                            'detector must predict boxes: load weights for '
                            'detection or instance.')
        if name not in detector.classes:
            raise UserError(
                f'the detector has no class {name!r}. Set detector_class to '
                f'one of {", ".join(detector.classes)}.')
        self._inferencer.detector = detector._inferencer
        self._inferencer.det_cat_ids = [detector.classes.index(name)]


def choose_device(name: str | None) -> torch.device:
    """The device for a name, after a check that it exists.

    Args:
        name: Such as ``'cuda:1'``; by default a GPU if there is one.

    Returns:
        The device.

    Raises:
        UserError: If the machine or PyTorch lacks it.
    """
    try:
        device = torch.device(name or get_device())
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f'the device {name!r} is not available '
            f"({str(error).splitlines()[0]}). Use another, such as "
            "'cpu', or omit it.") from error
    return device
