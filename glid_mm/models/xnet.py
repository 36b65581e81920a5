"""×Net: a pre-trained classifier as the decoder.

After *Is Pre-Training Applicable to the Decoder for Dense Prediction?* (ICRA
2026). The abstract and summaries are public; the code is not. This is a
reconstruction, and docs/xnet.md lists our interpretations.
"""
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers.basics import LayerNorm
from .layers.tokens import STRIDES

MIXINGS = 'sum', 'concat', 'gate', 'none'
ORDERS = 'forward', 'reversed'
# Initial standard deviation of Re-Shape's output if the image, whose own is
# about 1, is mixed in; without the image, the output replaces it.
SMALL, WHOLE = .1, 1.


class XNet(nn.Module):
    """A pre-trained encoder × a pre-trained decoder.

    The encoder's last map becomes an image again (:class:`ReShape`), is mixed
    with the image itself (:class:`Mixing`), and the unmodified classifier runs
    over that. A pyramid combines its four maps; the encoder's finer maps are
    not used.

    The paper's "reversing its structure" may refer to the data, which go from
    coarse to fine here through an unchanged classifier (``order='forward'``),
    or to the stages: ``order='reversed'`` runs the last stage first, with a
    Re-Shape before each.

    Args:
        encoder: Maps ``(B, 3, H, W)`` to feature maps; the last is at 1/32.
        classifier: Maps ``(B, 3, H, W)`` to feature maps at 1/4, 1/8, 1/16 and
            1/32. For ``'reversed'`` it needs ``stage(i, x)``, its ``i``-th
            quarter, which takes the previous map or the image.
        encoder_channels: Channels of the encoder's last map.
        classifier_channels: Channels of the four maps.
        channels: Channels of the result.
        mixing: See :class:`Mixing`.
        order: ``'forward'`` or ``'reversed'``.

    Raises:
        ValueError: If mixing or order is unknown.
    """

    def __init__(self,
                 encoder: nn.Module,
                 classifier: nn.Module,
                 encoder_channels: int,
                 classifier_channels: Sequence[int],
                 channels: int = 256,
                 mixing: str = 'sum',
                 order: str = 'forward') -> None:
        super().__init__()
        if mixing not in MIXINGS or order not in ORDERS:
            raise ValueError(f'mixing={mixing!r} and order={order!r} must be '
                             f'in {MIXINGS} and {ORDERS}')
        self.encoder = encoder
        self.classifier: Any = classifier
        # Channels and stride of each stage's input, and of its source, which
        # is the map of the following stage or the encoder's.
        maps = list(zip((3, *classifier_channels), (1, *STRIDES)))
        takes, gives = maps[:4], [*maps[2:], (encoder_channels, STRIDES[-1])]
        if order == 'forward':
            takes, gives = takes[:1], gives[-1:]
        std = WHOLE if mixing == 'none' else SMALL
        self.reshapes = nn.ModuleList(
            ReShape(wide, narrow, coarse // fine, std)
            for (wide, coarse), (narrow, fine) in zip(gives, takes))
        self.mixings = nn.ModuleList(
            Mixing(narrow, fine, mixing) for narrow, fine in takes)
        self.pyramid = PostFeaturePyramid(classifier_channels, channels)
        self.channels, self.order = channels, order

    def forward(self, images: Tensor) -> Tensor:
        """Features of images.

        Args:
            images: ``(B, 3, H, W)``, standardised, any size.

        Returns:
            ``(B, channels, ⌈H/4⌉, ⌈W/4⌉)``.
        """
        height, width = images.shape[-2:]
        # Pad to whole positions of the coarsest map.
        images = F.pad(images, (0, -width % 32, 0, -height % 32))
        maps = self.decode(images, self.encoder(images)[-1])
        return self.pyramid(maps)[..., :-(-height // 4), :-(-width // 4)]

    def decode(self, images: Tensor, x: Tensor) -> list[Tensor]:
        """The classifier's four maps.

        Args:
            images: ``(B, 3, H, W)``, multiples of 32.
            x: ``(B, C, H/32, W/32)``, the encoder's map.
        """
        if self.order == 'forward':
            x = self.mixings[0](images, self.reshapes[0](x))
            return list(self.classifier(x))
        maps: list[Tensor] = []
        for i in reversed(range(len(self.reshapes))):
            x = self.mixings[i](images, self.reshapes[i](x))
            x = self.classifier.stage(i, x)
            maps.insert(0, x)
        return maps


class ChannelNorm(LayerNorm):
    """``LayerNorm`` over the channels of maps ``(B, C, H, W)``."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ReShape(nn.Module):
    """Norm, 1×1 convolution and pixel shuffle: fewer channels, finer maps.

    Args:
        in_channels: C of the input, ``(B, C, h, w)``.
        out_channels: c of the result, ``(B, c, h·scale, w·scale)``.
        scale: Upscaling factor.
        std: Standard deviation of the result at the start.
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int,
                 std: float) -> None:
        super().__init__()
        self.norm = ChannelNorm(in_channels)
        self.proj = nn.Conv2d(in_channels, out_channels * scale**2, 1)
        self.shuffle = nn.PixelShuffle(scale)
        # The norm's channels have a variance of 1.
        nn.init.normal_(self.proj.weight, std=std * in_channels**-.5)
        nn.init.zeros_(self.proj.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.proj(self.norm(x)))


class Mixing(nn.Module):
    """Mix re-shaped features with the image at their stride.

    - ``'sum'``: their sum.
    - ``'concat'``: both concatenated, then a 1×1 convolution, initially their
      sum.
    - ``'gate'``: the image plus a share of the features, predicted for every
      pixel and channel by a 1×1 convolution of both.
    - ``'none'``: the features alone.

    The first three pass the image unchanged if the features are zero.

    Args:
        channels: Channels of the features.
        stride: Stride of the features. At stride 1 the image is used directly;
            otherwise a convolution embeds patches of that size.
        kind: One of the above.
    """

    def __init__(self, channels: int, stride: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.view: nn.Module = nn.Identity()
        if stride > 1 and kind != 'none':
            self.view = nn.Conv2d(3, channels, stride, stride)
            nn.init.normal_(self.view.weight, std=(3 * stride**2)**-.5)
        if kind in ('concat', 'gate'):
            self.proj = nn.Conv2d(2 * channels, channels, 1)
            nn.init.zeros_(self.proj.bias)  # type: ignore[arg-type]
        if kind == 'concat':
            both = torch.eye(channels).repeat(1, 2)[..., None, None]
            self.proj.weight = nn.Parameter(both)

    def forward(self, images: Tensor, features: Tensor) -> Tensor:
        if self.kind == 'none':
            return features
        image = self.view(images)
        if self.kind == 'sum':
            return image + features
        mixed = self.proj(torch.cat([image, features], 1))
        if self.kind == 'concat':
            return mixed
        return image + mixed.sigmoid() * features


class PostFeaturePyramid(nn.Module):
    """Norms and 1×1 laterals, summed from coarse to fine, and a 3×3 at 1/4.

    Args:
        in_channels: Channels of the maps, the finest first.
        channels: Channels of the result.
    """

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            nn.Sequential(ChannelNorm(width), nn.Conv2d(width, channels, 1))
            for width in in_channels)
        self.smooth = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        laterals = [lateral(x) for lateral, x in zip(self.laterals, maps)]
        x = laterals.pop()
        for finer in reversed(laterals):
            x = finer + F.interpolate(x, finer.shape[-2:])
        return self.smooth(x)
