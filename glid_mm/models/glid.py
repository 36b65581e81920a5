"""GLID: one encoder-decoder for pre-training and every task (paper eq. 1).

``P = H(Dec(Q, Enc(x)))``: this module is ``Dec(Q, Enc(x))``; a task adds a
linear head ``H``.
"""
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .decoders.query_decoder import DecoderLayer, Focus, Memory, QueryDecoder
from .encoders.swin import PatchMerging, SwinBlock, SwinEncoder
from .layers.basics import LayerNorm, Recomputing
from .layers.tokens import STRIDES, UNIT, TokenGrid
from .necks.bifpn import BiFPN, Fusion, Lateral
from .queries import Queries


class Features(NamedTuple):
    """Images as the decoder reads them, with :class:`GLIDOutput`'s map."""
    mask_features: Tensor
    memory: Memory


class GLIDOutput(NamedTuple):
    """Inputs of every head.

    Attributes:
        mask_features: ``(B, C, ⌈H/4⌉, ⌈W/4⌉)``, the neck's finest map, ``f^b``
            of the paper.
        query_features: ``(L, B, M, D)``, the queries after each decoder layer,
            normalised.
    """
    mask_features: Tensor
    query_features: Tensor

    def last_layer(self) -> 'GLIDOutput':
        """The output of the last decoder layer only."""
        return self._replace(query_features=self.query_features[-1:])


class GLID(nn.Module):
    """Encoder, neck, queries and decoder.

    Args:
        encoder: Tokens at strides 4, 8, 16 and 32.
        neck: The same strides at one width.
        decoder: Reads strides 32, 16 and 8 in turn.
        num_queries: Queries of the task; 0 for pre-training.
        embedding_std, embedding_positions: See :class:`Queries`.
        recompute: Whether the backward pass computes cheap activations again;
            None does so on CPUs.
    """

    def __init__(self,
                 encoder: SwinEncoder,
                 neck: BiFPN,
                 decoder: QueryDecoder,
                 num_queries: int = 0,
                 embedding_std: float = 0.,
                 embedding_positions: bool = False,
                 recompute: bool | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.neck = neck
        self.queries = Queries(decoder.dims, num_queries, embedding_std,
                               embedding_positions)
        self.decoder = decoder
        for module in self.modules():
            if isinstance(module, Recomputing):
                module.recompute = recompute

    def forward(self,
                images: Tensor,
                padding_mask: Tensor | None = None,
                *groups: slice) -> GLIDOutput:
        """:meth:`answers` from :meth:`features`."""
        return self.answers(self.features(images, padding_mask), *groups)

    def features(self, images: Tensor,
                 padding_mask: Tensor | None) -> Features:
        """Encode whole images.

        Args:
            images: ``(B, 3, H, W)``, standardised, any size.
            padding_mask: ``(B, H, W)`` bool, True at padded pixels, which lie
                at the right and bottom.
        """
        size = images.shape[-2:]
        images, grid = self._whole(images, padding_mask)
        tokens = self.neck(self.encoder(images, grid), grid)
        return Features(
            _map(tokens[0], grid, 0, size), self._memory(tokens, grid))

    def answers(self,
                x: Features,
                *groups: slice,
                focus: Focus | None = None) -> GLIDOutput:
        """Decode queries; groups, if any, do not attend to each other.

        ``focus`` limits cross-attention; see :class:`QueryDecoder`.
        """
        queries = self.queries(x.mask_features.shape[0])
        parts = [queries[:, rows] for rows in groups] or [queries]
        outs = [self.decoder(part, x.memory, focus=focus) for part in parts]
        return GLIDOutput(x.mask_features, torch.cat(outs, 2))

    def encode(self, images: Tensor, neck=False) -> tuple[Tensor, ...]:
        """Maps of the encoder or neck, ``(B, C, ⌈H/4⌉, ⌈W/4⌉)`` and so on.

        Images can have any size; the strides of maps are 4, 8, 16 and 32.
        """
        size = images.shape[-2:]
        images, grid = self._whole(images, None)
        maps = self.encoder(images, grid)
        maps = self.neck(maps, grid) if neck else map(
            lambda level, x: level.keep_valid(x), grid.levels, maps)
        return tuple(_map(x, grid, i, size) for i, x in enumerate(maps))

    def plan(self,
             visible: Tensor,
             units: tuple[int, int],
             repeats: int = 1) -> TokenGrid:
        """Plan the tokens of a masked pass, for :meth:`forward_masked`.

        The CPU can compute them before the step and move them with
        :meth:`TokenGrid.apply`; arguments are those of :class:`TokenGrid`.
        """
        grid = TokenGrid(units, visible, repeats=repeats)
        self.encoder.plan(grid)
        return grid

    def forward_masked(self, images: Tensor,
                       visible: Tensor | TokenGrid) -> Tensor:
        """Decode the pre-training queries from visible units only.

        All shapes depend on input shapes only, so nothing synchronizes with
        the device.

        Args:
            images: ``(B, 3, H, W)``, standardised, H and W multiples of 32.
            visible: ``(G, V)`` int, the visible units of image ``b`` in row
                ``b % G``, on the images' device; G divides B. Or a grid from
                :meth:`plan`.

        Returns:
            ``(1, B, 1 + N, D)``, ``[CLS]`` and the masked units in ascending
            order, of the last layer.

        Raises:
            ValueError: If units do not tile the image or G does not divide B.
        """
        height, width = images.shape[-2:]
        if height % UNIT or width % UNIT:
            raise ValueError(
                f'pre-training masks units of {UNIT}×{UNIT} px; crop images '
                f'to multiples of {UNIT}, got {height}×{width}')
        if isinstance(visible, TokenGrid):
            groups = len(visible.levels[0].coords)
        else:
            groups = len(visible)
        repeats, rest = divmod(len(images), groups)
        if rest:
            raise ValueError(f'{groups} groups of masks do not divide a batch '
                             f'of {len(images)}')
        if isinstance(visible, TokenGrid):
            grid = visible
        else:
            grid = self.plan(visible, (height // UNIT, width // UNIT),
                             repeats if images.is_cpu else 1)
        tokens = self.neck(self.encoder(images, grid), grid)
        positions = grid.masked_positions(self.decoder.dims, images.dtype)
        queries = self.queries.masked(positions).repeat(repeats, 1, 1)
        return self.decoder(
            queries, self._memory(tokens, grid), every_layer=False)

    def compile_regions(self, **options) -> None:
        """Compile blocks, fusions and decoder layers with these options.

        They take tensors only, so there are no graph breaks, and new masks
        change values but not shapes.
        """
        # To the compiler, all blocks are one function with many shapes.
        torch._dynamo.config.cache_size_limit = 256
        for module in self.modules():
            if isinstance(module, (SwinBlock, PatchMerging, LayerNorm, Lateral,
                                   Fusion, DecoderLayer)):
                module.compile(fullgraph=True, dynamic=False, **options)

    def no_weight_decay(self) -> set[str]:
        """Names of parameters to exclude from weight decay.

        Position biases, queries, level embeddings and fusion weights are
        offsets around a meaningful zero or one, not directions of a matrix.
        """
        ends = 'relative_position_bias_table', 'level_embed', '.weights'
        return {
            name
            for name, _ in self.named_parameters()
            if name.startswith('queries.') or name.endswith(ends)
        }

    def _memory(self, tokens: list[Tensor], grid: TokenGrid) -> Memory:
        """Inputs of the decoder at strides 32, 16 and 8."""
        kind = self.neck.channels, tokens[0].dtype
        return [(tokens[i], grid.positions(i, *kind), grid.levels[i].valid)
                for i in (3, 2, 1)]

    @torch.compiler.disable
    def _whole(self, images: Tensor,
               padding_mask: Tensor | None) -> tuple[Tensor, TokenGrid]:
        """Pad images to whole units; find the existing tokens."""
        height, width = images.shape[-2:]
        pad = (0, -width % UNIT, 0, -height % UNIT)
        if padding_mask is None:
            grid = TokenGrid.whole(height, width, images.device)
        else:
            # A host's padding values must not reach the last valid patch.
            images = images.masked_fill(padding_mask[:, None], 0)
            grid = TokenGrid.padded(F.pad(padding_mask, pad, value=True))
        self.encoder.plan(grid)
        return F.pad(images, pad) if any(pad) else images, grid


def _map(tokens: Tensor, grid: TokenGrid, level: int,
         size: Sequence[int]) -> Tensor:
    """Turn tokens of a level into the map of an image of a size in pixels."""
    rows, cols = (-(-length // STRIDES[level]) for length in size)
    return grid.levels[level].to_map(tokens)[..., :rows, :cols]
