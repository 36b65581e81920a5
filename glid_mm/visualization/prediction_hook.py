"""Draw the progress of a task's training."""
from collections.abc import Sequence

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
    as its step.

    Args:
        num_images: Number of validation pictures to draw, from the first on.
    """

    priority = 'LOW'

    def __init__(self, num_images: int = 4) -> None:
        self.num_images = num_images
        self._rows: list[list[np.ndarray]] = []
        self._draw: Painter | None = None

    def before_val_epoch(self, runner) -> None:
        """Start a new panel."""
        self._rows = []

    def after_val_iter(self,
                       runner,
                       batch_idx: int,
                       data_batch: dict | None = None,
                       outputs: Sequence | None = None) -> None:
        """Draw pictures that the panel still lacks."""
        if not is_main_process():
            return
        for sample in (outputs or [])[:self.num_images - len(self._rows)]:
            if self._draw is None:
                self._draw = Painter(runner.cfg.visualizer,
                                     runner.val_dataloader.dataset.metainfo)
            image = np.array(load_image(sample.img_path))
            self._rows.append([
                image,
                *(self._draw(image, sample, truth) for truth in (True, False))
            ])

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Show the panel."""
        if self._rows:
            runner.visualizer.add_image(
                'predictions',
                tile(self._rows, ['picture', 'labels', 'prediction']),
                runner.iter)
