"""Draw the predictions of a task's models beside the ground truth."""
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, VISUALIZERS, init_default_scope

from ..checkpoint.loading import load_to_evaluate
from ..datasets.loading import load_image
from ..errors import UserError


class Predictions(NamedTuple):
    """Pictures of test images.

    Attributes:
        titles: Column titles: 'image', 'ground truth', and the names of the
            models.
        rows: Per image, ``(H, W, 3)`` uint8 RGB in the order of the titles.
    """

    titles: list[str]
    rows: list[list[np.ndarray]]


class Painter:
    """Draw a task's data samples with its host's visualizer.

    Args:
        visualizer: The visualizer in the config.
        metainfo: The data set's classes, colours, skeletons.
        options: Further arguments of the visualizer's ``add_datasample``, such
            as ``dict(with_labels=False)`` in mmseg.
    """

    def __init__(self,
                 visualizer: dict,
                 metainfo: dict,
                 options: dict = {}) -> None:
        self._options = options
        # For equal names, mmengine returns the existing visualizer with its
        # settings.
        self._visualizer = VISUALIZERS.build({
            **visualizer, 'name':
            uuid.uuid4().hex,
            'vis_backends':
            None
        })
        self._visualizer.dataset_meta = metainfo
        if 'skeleton_links' in metainfo:
            # mmpose's visualizers store parts of it, which they need for
            # drawing.
            self._visualizer.set_dataset_meta(metainfo)

    def __call__(self, image: np.ndarray, sample, truth: bool) -> np.ndarray:
        """Draw a sample.

        Args:
            image: ``(H, W, 3)`` uint8, RGB.
            sample (BaseDataElement): Labels and predictions.
            truth: Whether to draw labels instead of predictions.

        Returns:
            ``(H', W', 3)`` uint8, RGB.
        """
        with warnings.catch_warnings():
            # Early in training, boxes and outlines may exceed the picture.
            warnings.filterwarnings('ignore', '.*out of bounds')
            self._visualizer.add_datasample(
                'predictions',
                image,
                sample,
                draw_gt=truth,
                draw_pred=not truth,
                **self._options)
        return self._visualizer.get_image()


def draw_predictions(config: Config,
                     checkpoints: Sequence[str],
                     titles: Sequence[str] = (),
                     num_images: int = 4,
                     draw_options: dict = {}) -> Predictions:
    """Draw images, their ground truth, and models' predictions.

    Data, models and drawing come from the config's host library.

    Args:
        config: Config of a task, with ``test_dataloader`` and ``visualizer``.
        checkpoints: Weights to compare, of that config or of mixtures that
            have its task.
        titles: Their names; by default their folders, with the names of the
            files if several are in one folder.
        num_images: Number of images, spread evenly over the test set.
        draw_options: Further arguments of the visualizer's ``add_datasample``,
            such as ``dict(with_labels=False)`` in mmseg.

    Returns:
        The pictures.

    Raises:
        UserError: If the config has no test data, or titles repeat.
        CheckpointError: If a file cannot be read or lacks weights of the
            model.
    """
    if config.get('test_dataloader') is None:
        raise UserError('the config has no test_dataloader')
    titles = titles or _titles(checkpoints)
    if len(set(titles)) < len(titles):
        raise UserError(f'titles repeat: {", ".join(titles)}')
    init_default_scope(config.default_scope)
    dataset = DATASETS.build(config.test_dataloader.dataset)
    count = min(num_images, len(dataset))
    samples = [dataset[i * len(dataset) // count] for i in range(count)]
    draw = Painter(config.visualizer, dataset.metainfo, draw_options)
    rows = [[] for _ in samples]
    for path in checkpoints:
        model = MODELS.build(config.model)
        load_to_evaluate(model, path)
        model.eval()
        for row, sample in zip(rows, samples):
            with torch.no_grad():
                answer = model.test_step(pseudo_collate([sample]))[0]
            image = np.array(load_image(answer.img_path))
            if not row:
                row += [image, draw(image, answer, truth=True)]
            row.append(draw(image, answer, truth=False))
    return Predictions(['image', 'ground truth', *titles], rows)


def _titles(checkpoints: Sequence[str]) -> list[str]:
    paths = list(map(Path, checkpoints))
    folders = [path.absolute().parent.name for path in paths]
    if len(set(folders)) == len(folders):
        return folders
    return [f'{a} {path.stem}' for a, path in zip(folders, paths)]
