"""mmdet's focal loss, wherever it is computed."""
import torch
from mmdet.models import losses
from torch import Tensor

from ...registry import MODELS


@MODELS.register_module()
class FocalLoss(losses.FocalLoss):
    """Sigmoid focal loss of class indices without mmcv's compiled ops.

    mmdet takes a compiled op for indices on a GPU and plain PyTorch for
    one-hot labels everywhere; both compute the same.

    Args:
        **kwargs: See ``mmdet.models.losses.FocalLoss``.
    """

    def forward(self, pred: Tensor, target: Tensor, *args, **kwargs) -> Tensor:
        """Loss.

        Args:
            pred (Tensor): ``(N, K)``, logits.
            target (Tensor): ``(N,)`` int64, K where there is no object.
            *args, **kwargs: See ``mmdet.models.losses.FocalLoss``.

        Returns:
            Tensor: The loss, a scalar.
        """
        # Not one_hot, which has the device report the least and the greatest.
        classes = torch.arange(pred.shape[1], device=target.device)
        target = target[:, None] == classes
        return super().forward(pred, target, *args, **kwargs)
