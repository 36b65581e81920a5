"""Attention of queries: weights of the decoder's cross-attention (Figure 4).

The model uses fused attention, which does not store the weights. Hooks record
its inputs to recompute the weights.
"""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor, nn

from ..models import GLID, GLIDOutput, TokenGrid
from ..models.layers.tokens import STRIDES
from .panels import tile

#: Strides of the memory, in the order in which decoder layers read them.
SCALES = STRIDES[:0:-1]
# Smaller pictures are enlarged to about this side.
_SIDE = 192


class Pass:
    """A record of one forward pass of GLID.

    Attributes:
        images (Tensor): ``(B, 3, H, W)``, the encoder's input.
        grid (TokenGrid): The tokens of the pass.
        reads (list[tuple]): The cross-attention of each decoder layer and its
            inputs: queries, keys, values and a mask of existing keys.
        output (GLIDOutput, optional): Inputs of heads; None in pre-training.
    """

    def __init__(self, images: Tensor, grid: TokenGrid) -> None:
        self.images, self.grid = images, grid
        self.reads: list[tuple] = []
        self.output: GLIDOutput | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the first image in pixels, without padding."""
        if self.grid.sizes is None:
            return tuple(self.images.shape[-2:])
        return tuple(self.grid.sizes[0].tolist())

    def layer_of(self, scale: int) -> int:
        """The last layer that reads the memory of a scale in SCALES."""
        return max(range(scale, len(self.reads), len(SCALES)))

    def weights(self, layer: int, queries: Sequence[int]) -> Tensor:
        """Attention weights of queries.

        Args:
            layer: Index of the decoder layer.
            queries: Indices of the queries.

        Returns:
            ``(B, heads, M, n)`` fp32, with a sum of 1 over the n tokens of the
            layer's stride; 0 where a token is padding.
        """
        attention, query, key, _, exists = self.reads[layer]
        q, k = (
            x.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2).float()
            for x in (attention.q(query[:, list(queries)]), attention.k(key)))
        logits = q @ k.mT * q.shape[-1]**-.5
        if exists is not None:
            if exists.dim() == 2:
                exists = exists.repeat(len(key) // len(exists), 1)
                exists = exists[:, None, None]
            else:  # a mask for each query (masked attention)
                exists = exists[:, :, list(queries)]
            logits = logits.masked_fill(~exists, -torch.inf)
        return logits.softmax(-1)

    def maps(self, scale: int, queries: Sequence[int]) -> Tensor:
        """Attention maps of a scale, the mean over heads.

        Args:
            scale: Index in :data:`SCALES`.
            queries: Indices of the queries.

        Returns:
            ``(B, M, h, w)`` with a sum of 1; 0 without a token.
        """
        weights = self.weights(self.layer_of(scale), queries).mean(1)
        level = self.grid.levels[STRIDES.index(SCALES[scale])]
        return level.to_map(weights.mT)


@contextmanager
def passes_of(glid: GLID) -> Iterator[list[Pass]]:
    """Record the passes of a model within the context.

    Args:
        glid: The backbone; its results do not change.

    Yields:
        A list of passes that grows with every pass.
    """
    passes = []

    def begin(_, args: tuple) -> None:
        passes.append(Pass(*args))

    def read(attention: nn.Module, args: tuple) -> None:
        passes[-1].reads.append((attention, *args))

    answers = glid.answers

    def end(*args, **kwargs) -> GLIDOutput:
        passes[-1].output = answers(*args, **kwargs)
        return passes[-1].output

    # Some heads call it without the model's forward pass.
    glid.answers = end
    hooks = [glid.encoder.register_forward_pre_hook(begin)]
    hooks += [
        layer.cross_attn.register_forward_pre_hook(read)
        for layer in glid.decoder.layers
    ]
    try:
        yield passes
    finally:
        del glid.answers
        for hook in hooks:
            hook.remove()


class Distances(NamedTuple):
    """Mean distances of attention from queries' places, in pixels.

    Attributes:
        own: Distance from a query's own place.
        others: Distance from the other queries' places. If this is not larger,
            attention does not depend on the query's place.
    """

    own: float
    others: float


def distances(maps: Tensor, points: Tensor, stride: int) -> Distances:
    """Measure whether queries attend near their places.

    Args:
        maps: ``(M, h, w)``, each with a sum of 1.
        points: ``(M, 2)``, x and y of their places in pixels.
        stride: Stride of the maps.

    Returns:
        The distances; NaN for a single query.
    """
    rows, cols = (
        stride * (torch.arange(side, device=maps.device) + .5)
        for side in maps.shape[1:])
    places = torch.cartesian_prod(rows, cols).flip(1)
    table = maps.flatten(1) @ torch.cdist(places, points.to(places))
    own = table.diagonal()
    others = (table.sum() - own.sum()) / (table.numel() - len(table))
    return Distances(own.mean().item(), others.item())


def attention_panel(seen: Pass, picture: np.ndarray, queries: Sequence[int],
                    points: Tensor, labels: Sequence[str]) -> np.ndarray:
    """Draw a row for each query: the image, and maps of three scales.

    Each map is scaled to its own maximum. A cross marks the query's place.

    Args:
        seen: The pass of one image.
        picture: ``(H, W, 3)`` uint8 RGB, the model's input.
        queries: The queries to draw.
        points: ``(M, 2)``, x and y of their places in pixels; NaN without a
            place.
        labels: Text on each query's image.

    Returns:
        ``(H', W', 3)`` uint8 RGB.
    """
    height, width = seen.size
    zoom = max(1, round(_SIDE / max(height, width)))
    maps = [seen.maps(scale, queries)[0] for scale in range(len(SCALES))]
    base = Image.fromarray(picture[:height, :width]).resize(
        (width * zoom, height * zoom), Image.Resampling.BICUBIC)
    rows = []
    for index, (point, label) in enumerate(zip(points.tolist(), labels)):
        cells = [base.copy()]
        for stride, scale in zip(SCALES, maps):
            heat = F.interpolate(
                scale[None, index:index + 1], scale_factor=stride * zoom)[0, 0]
            heat = heat[:base.height, :base.width].cpu().numpy()
            cells.append(_overlay(base, heat / heat.max()))
        for cell in cells:
            if not np.isnan(point).any():
                _cross(cell, [zoom * x for x in point])
        ImageDraw.Draw(cells[0]).text((3, 2),
                                      label,
                                      fill='white',
                                      stroke_fill='black',
                                      stroke_width=1)
        rows.append([np.array(cell) for cell in cells])
    return tile(rows, ['image', *(f'stride {stride}' for stride in SCALES)])


def _overlay(picture: Image.Image, heat: np.ndarray) -> Image.Image:
    """Overlay a map ``(H, W)`` of 0 to 1 on a grey version of a picture."""
    colours = matplotlib.colormaps['inferno'](heat)[..., :3]
    grey = np.array(picture.convert('L'))[..., None] / 255
    mixed = .35 * grey + .65 * colours
    return Image.fromarray((255 * mixed).round().astype(np.uint8))


def _cross(picture: Image.Image, point: Sequence[float]) -> None:
    x, y = point
    draw = ImageDraw.Draw(picture)
    for colour, width in (('black', 4), ('cyan', 2)):
        for line in ((x - 6, y, x + 6, y), (x, y - 6, x, y + 6)):
            draw.line(line, fill=colour, width=width)
