"""Masked attention: a query attends only within its previous mask."""
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UserError
from ...models import Features, TokenGrid
from ...models.layers.tokens import STRIDES, UNIT


class Foreground:
    """The memory tokens in each query's mask.

    As in Mask2Former (https://arxiv.org/abs/2112.01527, §3.2.1), mask logits
    are resized to the level that the next layer reads, and tokens below 0 are
    not attended to. A query whose mask is empty attends everywhere. The mask
    is a constant to the backward pass.

    Resizing is linear, so it resizes mask features once for all layers instead
    of the masks of all queries.

    Args:
        x: Image features; mask features extend into padding.
        embed: The mask embeddings of queries, ``(B, M, D)`` to ``(B, M, C)``.
    """

    def __init__(self, x: Features, embed: Callable[[Tensor], Tensor]) -> None:
        self._embed = embed
        features = x.mask_features.detach()
        rows, columns = (-side % (UNIT // STRIDES[0])
                         for side in features.shape[-2:])
        # The added tokens are padding. Each token is interpolated from pixels
        # in its middle, so other tokens do not affect it.
        features = F.pad(features, (0, columns, 0, rows), mode='replicate')
        height, width = features.shape[-2:]
        grid = TokenGrid.whole(STRIDES[0] * height, STRIDES[0] * width,
                               features.device)
        self._levels = []
        for index, (_, _, valid) in zip((3, 2, 1), x.memory):
            level = grid.levels[index]
            tokens = level.from_map(
                F.interpolate(features, level.shape, mode='bilinear'))
            self._levels.append((tokens.transpose(1, 2), valid))

    @torch.no_grad()
    def __call__(self, queries: Tensor, level: int) -> Tensor:
        """The tokens of a level that queries may attend to.

        Args:
            queries: Outputs of a decoder layer, ``(B, M, D)``.
            level: Index in the memory.

        Returns:
            ``(B, 1, M, n)`` bool, by query, False at padding.
        """
        features, valid = self._levels[level]
        inside = self._embed(queries) @ features >= 0
        exists = torch.ones_like(inside) if valid is None else valid[:, None]
        inside = inside & exists
        seen = inside | exists & ~inside.any(-1, keepdim=True)
        return seen[:, None]


def check_focus(model: nn.Module, name: str) -> None:
    """Refuse masked attention in a backbone that does not call the head.

    Args:
        model: A mask task's model, with its backbone and its head.
        name: Name of the head, such as ``decode_head``.

    Raises:
        UserError: If the backbone is to run as CUDA graphs.
    """
    replays = getattr(model.backbone, 'cuda_graph', False)
    if replays and getattr(model, name).masked_attention:
        raise UserError(
            'model.backbone.cuda_graph replays the backbone as a whole, but '
            'with masked attention every decoder layer calls the head. Omit '
            f'--cuda-graph, or set model.{name}.masked_attention='
            'False.')
