"""mmdet's focal loss on any device."""
import torch
from mmdet.models import losses
from torch import Tensor

from ...registry import MODELS


@MODELS.register_module()
class FocalLoss(losses.FocalLoss):
    """Sigmoid focal loss of class indices without mmcv's compiled ops.

    mmdet uses a compiled op for indices on a GPU and plain PyTorch for one-hot
    labels; the results are the same.

    Args:
        **kwargs: See ``mmdet.models.losses.FocalLoss``.
    """

    def forward(self, pred: Tensor, target: Tensor, *args, **kwargs) -> Tensor:
        """Compute the loss.

        Args:
            pred: ``(N, K)``, logits.
            target: ``(N,)`` int64, K where there is no object.
            *args, **kwargs: See ``mmdet.models.losses.FocalLoss``.

        Returns:
            The loss, a scalar.
        """
        # Not one_hot, which reads the smallest and largest index from the
        # device.
        classes = torch.arange(pred.shape[1], device=target.device)
        target = target[:, None] == classes
        return super().forward(pred, target, *args, **kwargs)
