"""What an exported file computes: from pictures to a task's decisions."""
from collections.abc import Mapping

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from ..errors import UserError
from ..visualization.images import takes_rgb

#: Of one picture, arrays by the names of the outputs.
Answers = Mapping[str, np.ndarray]


class Graph(nn.Module):
    """A host's model between uint8 pictures and decisions, as one graph.

    The hosts decide picture by picture and in shapes that depend on values.
    A task's graph decides alike for a whole batch and in fixed shapes. It also
    knows the host's own way, which it is compared with.

    Args:
        model (nn.Module): A model of a host, on CPU, for inference.
        size (tuple[int, int]): Height and width of pictures.
        meta (mapping): The ``dataset_meta`` of the model.

    Attributes:
        OUTPUTS (dict[str, str]): Names of outputs, and what they are.

    Raises:
        UserError: If the model is not one of the task.
    """
    OUTPUTS: Mapping[str, str] = {}

    def __init__(self, model: nn.Module, size: tuple[int, int],
                 meta: Mapping) -> None:
        super().__init__()
        wanted = self.host_class()
        if not isinstance(model, wanted):
            raise UserError(
                f'the model is of {type(model).__name__}, and for this task '
                f'those of {wanted.__name__} can be exported. Choose the task '
                'that the model is of, or the model.')
        self.model = model
        self.size = size
        self.meta = meta

    @staticmethod
    def host_class() -> type:
        """The class of models that the graph understands."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Answer.

        Args:
            images (Tensor): ``(N, H, W, 3)`` uint8, RGB.

        Returns:
            tuple[Tensor]: :attr:`OUTPUTS`, each of ``N`` pictures.
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
        """:meth:`forward` from what the model reads, ``(N, 3, H, W)``."""
        raise NotImplementedError

    def host(self, images: np.ndarray) -> list[Answers]:
        """Answers of the host's own path from pixels to results.

        Args:
            images (ndarray): ``(N, H, W, 3)`` uint8, RGB.

        Returns:
            list[Answers]: Of each picture.
        """
        # Hosts load BGR.
        bgr = np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2))
        samples = self.model.test_step(
            dict(
                inputs=list(torch.from_numpy(bgr)),
                data_samples=[self.sample() for _ in images]))
        return [self.read(sample) for sample in samples]

    def sample(self) -> BaseDataElement:
        """A host's data sample of a picture of :attr:`size`."""
        raise NotImplementedError

    def read(self, sample: BaseDataElement) -> Answers:
        """Answers of a data sample, named as the outputs are."""
        raise NotImplementedError

    def compare(self, host: Answers, ours: Answers) -> dict[str, float]:
        """How much answers to one picture differ.

        Args:
            host (Answers): Those of :meth:`host`.
            ours (Answers): Those of the graph.

        Returns:
            dict[str, float]: By output, see :mod:`.agreement`.
        """
        raise NotImplementedError

    def facts(self) -> dict:
        """Further facts about the answers, as values for JSON."""
        classes = self.meta.get('classes')
        return {} if classes is None else dict(classes=list(classes))

    def metas(self) -> dict:
        """What hosts want to know about a picture that fills the input."""
        return dict(
            img_path='picture',
            img_shape=self.size,
            ori_shape=self.size,
            pad_shape=self.size,
            batch_input_shape=self.size,
            scale_factor=(1., 1.))
