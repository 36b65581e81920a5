"""Masked attention: a query sees what the layer before took to be its mask."""
from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models import Features, TokenGrid
from ...models.layers.tokens import STRIDES, UNIT


class Foreground:
    """The tokens of the memory that lie in each query's mask.

    Mask2Former's (https://arxiv.org/abs/2112.01527, §3.2.1): mask logits are
    resized to the level that the next layer reads, and tokens below 0 are not
    attended to. A query whose mask is empty attends everywhere. The mask is a
    constant to the backward pass.

    Resizing is linear, so mask features are resized, once for all layers, and
    not the masks of all queries.

    Args:
        x (Features): Of the images; mask features go on into padding.
        embed (Callable[[Tensor], Tensor]): The mask embeddings of queries,
            ``(B, M, D)`` to ``(B, M, C)``.
    """

    def __init__(self, x: Features, embed: Callable[[Tensor], Tensor]) -> None:
        self._embed = embed
        features = x.mask_features.detach()
        rows, columns = (-side % (UNIT // STRIDES[0])
                         for side in features.shape[-2:])
        # The tokens that this adds are padding. Each token is resized from
        # pixels in its middle, those of other tokens have no part in it.
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
        """What queries see of a level.

        Args:
            queries (Tensor): ``(B, M, D)``, as a decoder layer returns them.
            level (int): Index in the memory.

        Returns:
            Tensor: ``(B, 1, M, n)`` bool, True in at least one token of each
            query.
        """
        features, valid = self._levels[level]
        inside = self._embed(queries) @ features >= 0
        if valid is not None:
            inside = inside & valid[:, None]
        return (inside | ~inside.any(-1, keepdim=True))[:, None]
