"""The exported computation: from pictures to a task's predictions."""
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from ..errors import UserError
from ..tasks.common import decodes_queries, padding_mask
from ..visualization.images import takes_rgb

#: Arrays of one picture by output name.
Answers = Mapping[str, np.ndarray]
#: Arrays or tensors in the order of :attr:`Graph.INPUTS`.
Inputs = Sequence[np.ndarray]


class Graph(nn.Module):
    """A host's model as one graph, from uint8 pictures to predictions.

    The hosts post-process one picture at a time, in shapes that depend on
    values. A task's graph computes the same for a whole batch in fixed shapes.
    It also runs the host's own code for comparison.

    Args:
        model: A host's model, in eval mode.
        size: Input height and width.
        meta: The ``dataset_meta`` of the model.

    Attributes:
        INPUTS: Names of the inputs and their descriptions.
        OUTPUTS: Names of the outputs and their descriptions.
        MAPS: Names of the outputs ``(…, H, W)``, which include the padding.

    Raises:
        UserError: If the model has another class than the task needs.
    """
    INPUTS: Mapping[str, str] = dict(
        images='(N, H, W, 3) uint8: RGB, each picture in the upper left '
        'corner; the rest is ignored',
        sizes='(N, 2) int64: height and width of each picture in pixels')
    OUTPUTS: Mapping[str, str] = {}
    MAPS: tuple[str, ...] = ()

    def __init__(self, model: nn.Module, size: tuple[int, int],
                 meta: Mapping) -> None:
        super().__init__()
        wanted = self.host_class()
        if not isinstance(model, wanted):
            raise UserError(
                f'the model is a {type(model).__name__}, but this task '
                f"exports only {wanted.__name__}. Choose the model's own task "
                'or another model.')
        self.model = model
        self.size = size
        self.meta = meta

    @staticmethod
    def host_class() -> type:
        """The class of models that the graph supports."""
        raise NotImplementedError

    @property
    def masks_padding(self) -> bool:
        """Whether outputs do not depend on padding."""
        return 'sizes' in self.INPUTS and decodes_queries(self.model.backbone)

    def forward(self,
                images: Tensor,
                sizes: Tensor | None = None) -> tuple[Tensor, ...]:
        """Predict.

        Args:
            images: ``(N, H, W, 3)`` uint8, RGB.
            sizes: ``(N, 2)`` int64, if it is one of the :attr:`INPUTS`.

        Returns:
            :attr:`OUTPUTS` for ``N`` pictures.
        """
        prepare = self.model.data_preprocessor
        x = images.permute(0, 3, 1, 2)
        if not takes_rgb(prepare):
            x = x.flip(1)
        x = x.float()
        if prepare._enable_normalize:
            x = (x - prepare.mean) / prepare.std
        if sizes is not None:
            # Pad as the hosts do, for backbones that see padding.
            x = x.masked_fill(padding_mask(x, sizes)[:, None], 0)
        return self.decide(x, sizes)

    def decide(self, x: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """:meth:`forward` from normalized input ``(N, 3, H, W)``."""
        raise NotImplementedError

    def inputs(self, pictures: Sequence[np.ndarray]) -> Inputs:
        """Inputs for pictures.

        Args:
            pictures: ``(h, w, 3)`` uint8, RGB, not larger than the input.
        """
        images = np.zeros((len(pictures), *self.size, 3), np.uint8)
        for image, picture in zip(images, pictures):
            height, width = picture.shape[:2]
            image[:height, :width] = picture
        sizes = [
            picture.shape[:2] if self.masks_padding else self.size
            for picture in pictures
        ]
        return (images, np.array(sizes))[:len(self.INPUTS)]

    def host(self, images: np.ndarray, *sizes: np.ndarray) -> list[Answers]:
        """Outputs of the host's own code, from pixels to results.

        The host gets each picture alone and without padding.

        Args:
            images: ``(N, H, W, 3)`` uint8, RGB.
            *sizes: ``(N, 2)``, if it is one of the :attr:`INPUTS`.

        Returns:
            One for each picture.
        """
        answers = []
        for image, *given in zip(images, *sizes):
            height, width = map(int, given[0] if given else self.size)
            # Hosts load BGR.
            bgr = image[:height, :width, ::-1].transpose(2, 0, 1)
            sample, = self.model.test_step(
                dict(
                    inputs=[torch.from_numpy(np.ascontiguousarray(bgr))],
                    data_samples=[self.sample((height, width))]))
            answers.append(self.read(sample.cpu()))
        return answers

    def crop(self, answers: Answers, *size: np.ndarray) -> Answers:
        """Remove the padding from maps.

        Args:
            answers: Outputs of the graph for one picture.
            *size: ``(2,)``, if ``sizes`` is one of the :attr:`INPUTS`.
        """
        height, width = size[0] if size else self.size
        return {
            name: value[..., :height, :width] if name in self.MAPS else value
            for name, value in answers.items()
        }

    def sample(self, size: tuple[int, int]) -> BaseDataElement:
        """The host's data sample for a picture of this size."""
        raise NotImplementedError

    def read(self, sample: BaseDataElement) -> Answers:
        """The outputs in a data sample, by output name."""
        raise NotImplementedError

    def compare(self, host: Answers, ours: Answers) -> dict[str, float]:
        """Differences between outputs for one picture.

        Args:
            host: Outputs of :meth:`host`.
            ours: Outputs of the graph, from :meth:`crop`.

        Returns:
            The difference of each output; see :mod:`.agreement`.
        """
        raise NotImplementedError

    def facts(self) -> dict:
        """Additional entries of the description, as JSON values."""
        classes = self.meta.get('classes')
        return {} if classes is None else dict(classes=list(classes))

    @staticmethod
    def metas(size: tuple[int, int]) -> dict:
        """Metadata that hosts need for a picture of this size."""
        return dict(
            img_path='picture',
            img_shape=size,
            ori_shape=size,
            pad_shape=size,
            batch_input_shape=size,
            scale_factor=(1., 1.))
