"""Mask classification on GLID's output: masks and classes from queries."""
from collections.abc import Callable, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...errors import UserError
from ...models import Features, GLIDOutput
from ...models.layers.tokens import STRIDES
from ..common import Located, Widths, centres, full_size
from ..matching import CostsError
from .focus import Foreground
from .loss import MaskLoss, MaskTargets


class MaskHead(BaseModule):
    """Two linear layers per query: a mask embedding and a class (eq. 4).

    Every decoder layer is supervised, see :class:`MaskLoss`; the last one
    gives the prediction.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of queries.
        mask_channels: Channels of the mask features.
        scale_logits: Whether to divide mask logits by the root of
            ``mask_channels``, so that they start near 0.
        masked_attention: Whether queries attend only within their masks of the
            previous decoder layer; the first layer attends everywhere. It adds
            no weights.
        train_cfg: Arguments of :class:`MaskLoss`.
        init_cfg: See ``BaseModule``. By default, linear layers keep PyTorch's
            initialisation.
    """

    # Version of the weights, saved by PyTorch. Version 1 did not scale logits.
    _version = 2

    def __init__(self,
                 num_classes: int,
                 in_channels: int = 512,
                 mask_channels: int = 256,
                 scale_logits: bool = True,
                 masked_attention: bool = False,
                 train_cfg: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.widths = Widths(in_channels, mask_channels)
        self.cls_embed = nn.Linear(in_channels, num_classes + 1)
        self.mask_embed = nn.Linear(in_channels, mask_channels)
        self.scale = mask_channels**-.5 if scale_logits else 1.
        self.masked_attention = masked_attention
        self.criterion = MaskLoss(num_classes, **(train_cfg or {}))

    def forward(self, x: GLIDOutput, *args) -> tuple[Tensor, Tensor]:
        """Class and mask logits of every decoder layer.

        Args:
            x: Features.
            *args: Data samples from hosts; not used.

        Returns:
            ``(L, B, M, K + 1)`` and ``(L, B, M, ⌈H/4⌉, ⌈W/4⌉)``.
        """
        scores = self.cls_embed(x.query_features)
        embeddings = self.scale * self.mask_embed(x.query_features)
        masks = torch.einsum('lbqc,bchw->lbqhw', embeddings, x.mask_features)
        return scores, masks

    @property
    def focus(self) -> Callable[[Features], Foreground] | None:
        """Limits the attention of queries; None for no limit."""
        if not self.masked_attention:
            return None
        return lambda x: Foreground(x, self.mask_embed)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata,
                              *args) -> None:
        """Scale weights of version 1 so that they give the same logits."""
        if local_metadata.get('version') == 1:
            for name in ('weight', 'bias'):
                key = f'{prefix}mask_embed.{name}'
                if key in state_dict:
                    state_dict[key] = state_dict[key] / self.scale
        super()._load_from_state_dict(state_dict, prefix, local_metadata,
                                      *args)

    def answer(self, x: GLIDOutput, size: tuple[int,
                                                int]) -> tuple[Tensor, Tensor]:
        """Compute class and mask logits of the last layer only.

        Args:
            x: Features.
            size: Height and width of the input.

        Returns:
            ``(B, M, K + 1)`` and ``(B, M, H, W)``.
        """
        (scores, ), (masks, ) = self(x.last_layer())
        return scores, full_size(masks, size)

    def locate(self, x: GLIDOutput, size: tuple[int, int]) -> Located:
        """Scores of the most likely classes, and the masks' centres of mass.

        Args:
            x: Features of one image.
            size: Height and width without padding.
        """
        (scores, ), (masks, ) = self(x.last_layer())
        rows, cols = (-(-side // STRIDES[0]) for side in size)
        return Located(scores[0].softmax(-1)[:, :-1].amax(-1),
                       centres(masks[0, :, :rows, :cols].sigmoid()))

    def losses(self, x: GLIDOutput, targets: MaskTargets,
               metas: Sequence) -> dict:
        """Losses of every decoder layer.

        Args:
            x: Features.
            targets: The ground truth.
            metas: For each image a dictionary or data sample with
                ``img_path``.

        Returns:
            dict[str, Tensor]: See :meth:`MaskLoss.forward`.

        Raises:
            UserError: If predictions are not finite.
        """
        try:
            return self.criterion(*self(x), targets)
        except CostsError as error:
            path = metas[error.image].get('img_path',
                                          'an image without a path')
            raise UserError(
                f'predictions and ground truth of {path} cannot be '
                'matched: costs are not finite, so the predictions are '
                'not. Lower the learning rate, clip gradients '
                '(optim_wrapper.clip_grad), or start from finite '
                'weights.') from error
