"""The exported computation: from pictures to a task's predictions."""
from collections.abc import Mapping

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from ..errors import UserError
from ..visualization.images import takes_rgb

#: Arrays of one picture by output name.
Answers = Mapping[str, np.ndarray]


class Graph(nn.Module):
    """A host's model as one graph, from uint8 pictures to predictions.

    The hosts post-process one picture at a time, in shapes that depend on
    values. A task's graph computes the same for a whole batch in fixed shapes.
    It also runs the host's own code for comparison.

    Args:
        model: A host's model on the CPU, in eval mode.
        size: Picture height and width.
        meta: The ``dataset_meta`` of the model.

    Attributes:
        OUTPUTS: Names of the outputs and their descriptions.

    Raises:
        UserError: If the model has another class than the task needs.
    """
    OUTPUTS: Mapping[str, str] = {}

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

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Predict.

        Args:
            images: ``(N, H, W, 3)`` uint8, RGB.

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
        return self.decide(x)

    def decide(self, x: Tensor) -> tuple[Tensor, ...]:
        """:meth:`forward` from normalized input ``(N, 3, H, W)``."""
        raise NotImplementedError

    def host(self, images: np.ndarray) -> list[Answers]:
        """Outputs of the host's own code, from pixels to results.

        Args:
            images: ``(N, H, W, 3)`` uint8, RGB.

        Returns:
            One for each picture.
        """
        # Hosts load BGR.
        bgr = np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2))
        samples = self.model.test_step(
            dict(
                inputs=list(torch.from_numpy(bgr)),
                data_samples=[self.sample() for _ in images]))
        return [self.read(sample) for sample in samples]

    def sample(self) -> BaseDataElement:
        """The host's data sample for a picture of :attr:`size`."""
        raise NotImplementedError

    def read(self, sample: BaseDataElement) -> Answers:
        """The outputs in a data sample, by output name."""
        raise NotImplementedError

    def compare(self, host: Answers, ours: Answers) -> dict[str, float]:
        """Differences between outputs for one picture.

        Args:
            host: Outputs of :meth:`host`.
            ours: Outputs of the graph.

        Returns:
            The difference of each output; see :mod:`.agreement`.
        """
        raise NotImplementedError

    def facts(self) -> dict:
        """Additional entries of the description, as JSON values."""
        classes = self.meta.get('classes')
        return {} if classes is None else dict(classes=list(classes))

    def metas(self) -> dict:
        """Metadata that hosts need for a picture that fills the input."""
        return dict(
            img_path='picture',
            img_shape=self.size,
            ori_shape=self.size,
            pad_shape=self.size,
            batch_input_shape=self.size,
            scale_factor=(1., 1.))
