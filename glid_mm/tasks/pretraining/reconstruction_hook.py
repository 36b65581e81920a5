"""Draw the progress of pre-training."""
from collections.abc import Sequence

import torch
from mmengine.dist import is_main_process, master_only
from mmengine.hooks import Hook
from torch import Tensor

from ...datasets.decode import ImageError
from ...engine.wrappers import bare_model
from ...errors import UserError
from ...models import sample_visible
from ...models.layers.tokens import UNIT
from ...registry import HOOKS
from ...visualization import find_images, load_images
from .reconstructions import reconstruction_panel


@HOOKS.register_module()
class ReconstructionHook(Hook):
    """Draw the same masked images before, during and after training.

    A panel has a row of inputs, one of their visible parts and one of
    reconstructions. The visualizer gets it as ``reconstruction``, with the
    iteration as its step. Images and masks use no random numbers of the
    training.

    Args:
        interval: Iterations between panels. There is also one before the first
            iteration and one after the last.
        num_images: Images to draw.
        images: Image files and folders of images; by default the first images
            of the training set. They are centre-cropped to the size of
            training images.

    Raises:
        ValueError: If ``interval`` or ``num_images`` is below 1.
        UserError: At the first iteration, if there are no such images.
    """

    def __init__(self,
                 interval: int = 1000,
                 num_images: int = 8,
                 images: str | Sequence[str] | None = None) -> None:
        for name, value in dict(
                interval=interval, num_images=num_images).items():
            if value < 1:
                raise ValueError(f'{name} must be 1 or more, not {value}')
        self.interval = interval
        self.num_images = num_images
        self.paths = [images] if isinstance(images, str) else images
        self.images = None

    def before_train_iter(self,
                          runner,
                          batch_idx: int,
                          data_batch: dict | None = None) -> None:
        """Choose images and masks; draw the untrained model's output."""
        if self.images is None and is_main_process():
            # The model may have to crop the batch.
            batch = bare_model(runner.model).data_preprocessor(data_batch)
            self._choose(runner, batch['inputs'].shape[-2:])
            if runner.iter == 0:
                self._draw(runner, 0)

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Draw at every ``interval``-th iteration."""
        if self.every_n_train_iters(runner, self.interval):
            self._draw(runner, runner.iter + 1)

    def after_train(self, runner) -> None:
        """Draw again, unless the last iteration did."""
        if self.images is not None and runner.iter % self.interval:
            self._draw(runner, runner.iter)

    @master_only
    def _choose(self, runner, size) -> None:
        if self.paths is None:
            self.images = _first_images(runner.train_dataloader.dataset,
                                        self.num_images, size)
        else:
            paths = find_images(self.paths)[:self.num_images]
            self.images = load_images(paths, size)
        model = bare_model(runner.model)
        self.visible = sample_visible((size[0] // UNIT, size[1] // UNIT),
                                      model.mask_ratio, model.mask_strategy,
                                      len(self.images),
                                      torch.Generator().manual_seed(0))

    @master_only
    def _draw(self, runner, step: int) -> None:
        panel = reconstruction_panel(
            bare_model(runner.model), self.images, self.visible)
        runner.visualizer.add_image('reconstruction', panel, step)


def _first_images(dataset, count: int, size) -> Tensor:
    """The first undamaged images of a data set."""
    images = []
    for index in range(len(dataset)):
        try:
            path = dataset.get_data_info(index)['img_path']
        except (AttributeError, KeyError):
            raise UserError(
                'the training set does not name image files, so its first '
                'images cannot be drawn. Name images to draw: '
                'default_hooks.reconstruction.images') from None
        try:
            images.append(load_images([path], size))
        except ImageError:
            # Other code decides whether this stops the run.
            continue
        if len(images) == count:
            break
    return torch.cat(images)
