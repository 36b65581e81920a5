"""Draw the progress of a task's training."""
from collections.abc import Mapping, Sequence

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from ..datasets.loading import load_image
from ..registry import HOOKS
from .panels import tile
from .predictions import Painter


@HOOKS.register_module()
class PredictionHook(Hook):
    """Draw predictions for the same pictures at every validation.

    A panel has a row for each picture: the picture, its labels, and the
    prediction. The visualizer gets it as ``predictions``, with the iteration
    as its step. In a mixture, each task has a panel, ``<task>_predictions``.

    Args:
        num_images: Number of validation pictures to draw, from the first on.
        visualizers: For a mixture, configs of the visualizers by task; tasks
            without a visualizer are not drawn.
    """

    priority = 'LOW'

    def __init__(self,
                 num_images: int = 4,
                 visualizers: Mapping[str, dict] | None = None) -> None:
        self.num_images = num_images
        self.visualizers = visualizers
        self._rows: dict[str, list[list[np.ndarray]]] = {}
        self._painters: dict[str, Painter] = {}

    def before_val_epoch(self, runner) -> None:
        """Start new panels."""
        self._rows = {}

    def after_val_iter(self,
                       runner,
                       batch_idx: int,
                       data_batch: dict | None = None,
                       outputs: Sequence | None = None) -> None:
        """Draw pictures that the panel still lacks."""
        if not is_main_process():
            return
        task, visualizer = '', runner.cfg.visualizer
        metainfo = runner.val_dataloader.dataset.metainfo
        if self.visualizers is not None:
            task, = data_batch
            visualizer = self.visualizers.get(task)
            if visualizer is None:
                return
            metainfo = metainfo[task]
        rows = self._rows.setdefault(task, [])
        for sample in (outputs or [])[:self.num_images - len(rows)]:
            if task not in self._painters:
                self._painters[task] = Painter(visualizer, metainfo)
            draw = self._painters[task]
            image = np.array(load_image(sample.img_path))
            rows.append([
                image, *(draw(image, sample, truth) for truth in (True, False))
            ])

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Show the panels."""
        for task, rows in self._rows.items():
            runner.visualizer.add_image(
                f'{task}_predictions' if task else 'predictions',
                tile(rows, ['picture', 'labels', 'prediction']), runner.iter)
