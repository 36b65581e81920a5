"""GLID: one encoder-decoder for pre-training and every task (paper eq. 1).

``P = H(Dec(Q, Enc(x)))``: this module is ``Dec(Q, Enc(x))``; a task adds a
linear head ``H``.
"""
from typing import List, NamedTuple, Optional, Set, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .decoders.query_decoder import QueryDecoder
from .encoders.swin import SwinEncoder
from .layers.position import sine_position
from .layers.tokens import STRIDES, UNIT, TokenGrid
from .masking import masked_units
from .necks.bifpn import BiFPN
from .queries import Queries


class GLIDOutput(NamedTuple):
    """What every head reads.

    Attributes:
        mask_features (Tensor): ``(B, C, ⌈H/4⌉, ⌈W/4⌉)``, the neck's finest
            map, ``f^b`` of the paper.
        query_features (Tensor): ``(L, B, M, D)``, the queries after each
            decoder layer, normalised.
    """

    mask_features: Tensor
    query_features: Tensor

    def last_layer(self) -> 'GLIDOutput':
        """The same with the last decoder layer alone."""
        return self._replace(query_features=self.query_features[-1:])


class GLID(nn.Module):
    """Encoder, neck, queries and decoder.

    Args:
        encoder (SwinEncoder): Tokens at strides 4, 8, 16 and 32.
        neck (BiFPN): The same strides at one width.
        decoder (QueryDecoder): Reads strides 32, 16 and 8 in turn.
        num_queries (int): Queries of the task; 0 for pre-training.
        embedding_std (float): See :class:`Queries`.
        embedding_positions (bool): See :class:`Queries`.
    """

    def __init__(self,
                 encoder: SwinEncoder,
                 neck: BiFPN,
                 decoder: QueryDecoder,
                 num_queries: int = 0,
                 embedding_std: float = 0.,
                 embedding_positions: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.neck = neck
        self.queries = Queries(decoder.dims, num_queries, embedding_std,
                               embedding_positions)
        self.decoder = decoder
        self.register_load_state_dict_post_hook(_prepare_for_task)

    def forward(self,
                images: Tensor,
                padding_mask: Optional[Tensor] = None,
                query_mask: Optional[Tensor] = None,
                num_queries: Optional[int] = None) -> GLIDOutput:
        """Answer the task's queries for whole images.

        Args:
            images (Tensor): ``(B, 3, H, W)``, standardised, any size.
            padding_mask (Tensor, optional): ``(B, H, W)`` bool, True at
                padded pixels, which lie to the right and below.
            query_mask (Tensor, optional): ``(M, M)`` bool, True where a
                query may attend to another.
            num_queries (int, optional): How many queries to ask, from the
                first on; by default all.

        Returns:
            GLIDOutput: Features for the head.
        """
        height, width = images.shape[-2:]
        images, grid = _whole_units(images, padding_mask)
        tokens = self.neck(self.encoder(images, grid), grid)
        query_features = self.decoder(
            self.queries(images.shape[0], num_queries),
            self._memory(tokens, grid), query_mask)
        mask_features = grid.to_map(tokens[0], 0)
        stride = STRIDES[0]
        return GLIDOutput(
            mask_features[..., :-(-height // stride), :-(-width // stride)],
            query_features)

    def encode(self, images: Tensor) -> Tuple[Tensor, ...]:
        """Encoder features of whole images.

        Args:
            images (Tensor): ``(B, 3, H, W)``, standardised, any size.

        Returns:
            tuple[Tensor]: ``(B, C, ⌈H/stride⌉, ⌈W/stride⌉)`` at strides 4,
            8, 16 and 32.
        """
        height, width = images.shape[-2:]
        images, grid = _whole_units(images, None)
        return tuple(
            grid.to_map(grid.keep_valid(x, level), level)[
                ..., :-(-height // stride), :-(-width // stride)] for level, (
                    stride,
                    x) in enumerate(zip(STRIDES, self.encoder(images, grid))))

    def forward_masked(self, images: Tensor, visible: Tensor) -> Tensor:
        """Answer the queries of pre-training from visible units alone.

        Args:
            images (Tensor): ``(B, 3, H, W)``, standardised, H and W
                multiples of 32.
            visible (Tensor): ``(G, V)`` int64, the visible units of image
                ``b`` in row ``b % G``; G divides B.

        Returns:
            Tensor: ``(L, B, 1 + N, D)``, ``[CLS]`` and the masked units in
            ascending order.

        Raises:
            ValueError: If the image is not made of whole units, or the
                groups do not divide the batch.
        """
        height, width = images.shape[-2:]
        if height % UNIT or width % UNIT:
            raise ValueError(
                f'pre-training masks units of {UNIT}×{UNIT} px; crop images '
                f'to multiples of {UNIT}, got {height}×{width}')
        units = height // UNIT, width // UNIT
        repeats, rest = divmod(len(images), len(visible))
        if rest:
            raise ValueError(f'{len(visible)} groups of masks do not divide '
                             f'a batch of {len(images)}')
        grid = TokenGrid(units, visible, device=images.device)
        tokens = self.neck(self.encoder(images, grid), grid)
        masked = masked_units(visible, units[0] * units[1])
        centres = torch.stack([masked // units[1], masked % units[1]], -1)
        centres = (centres + .5) / centres.new_tensor(units)
        queries = self.queries.masked(centres.to(images))
        return self.decoder(
            queries.repeat(repeats, 1, 1), self._memory(tokens, grid))

    def no_weight_decay(self) -> Set[str]:
        """Names of parameters that weight decay would harm.

        They are offsets and mixing weights around a meaningful zero or one,
        not directions of a matrix.

        Returns:
            set[str]: Position biases, queries, level embeddings and fusion
            weights.
        """
        return {
            name
            for name, _ in self.named_parameters()
            if name.startswith('queries.') or name.endswith((
                'relative_position_bias_table', 'level_embed', '.weights'))
        }

    def _memory(
            self, tokens: List[Tensor],
            grid: TokenGrid) -> List[Tuple[Tensor, Tensor, Optional[Tensor]]]:
        """Tokens, positions and validity at strides 32, 16 and 8."""
        memory = []
        for level in (3, 2, 1):
            x = tokens[level]
            position = _key_position(grid, level, x)
            position = position.repeat(x.shape[0] // len(position), 1, 1)
            valid = None if grid.valid is None else grid.valid[level]
            memory.append((x, position, valid))
        return memory


def _prepare_for_task(model: GLID, incompatible_keys) -> None:
    """Tasks show larger maps than pre-training did."""
    if model.queries.num_queries:
        model.encoder.extend_bias_rims()


@torch.compiler.disable
def _key_position(grid: TokenGrid, level: int, tokens: Tensor) -> Tensor:
    """Sine positions of a level's tokens, ``(G, n, C)``, kept in the grid."""
    key = (_key_position, level, tokens.shape[-1], tokens.dtype)
    if key not in grid.cache:
        with torch.inference_mode(False):
            size = grid.extent(level)[:, None]
            centres = (grid.coords(level) + .5) / size.double()
            grid.cache[key] = sine_position(centres, tokens.shape[-1]).to(
                tokens.device, tokens.dtype)
    return grid.cache[key]


@torch.compiler.disable
def _whole_units(images: Tensor,
                 padding_mask: Optional[Tensor]) -> Tuple[Tensor, TokenGrid]:
    """Pad images to whole units and tell which tokens exist."""
    height, width = images.shape[-2:]
    pad = (0, -width % UNIT, 0, -height % UNIT)
    if padding_mask is None:
        grid = TokenGrid.whole(height, width, images.device)
    else:
        # What a host fills padding with must not reach the last valid patch.
        images = images.masked_fill(padding_mask[:, None], 0)
        grid = TokenGrid.padded(F.pad(padding_mask, pad, value=True))
    return F.pad(images, pad) if any(pad) else images, grid
