"""×Net for OpenMMLab's configs: ``type='glid_mm.XNet'``."""
import torch
from mmengine.model import initialize
from torch import Tensor, nn

from .. import models
from ..errors import UserError
from ..models.layers.tokens import STRIDES
from ..registry import MODELS

# Side of a test image that reveals the maps of a network.
_PROBE = 64
_LEAST = STRIDES[-1]


@MODELS.register_module()
class XNet(models.XNet):
    """Build :class:`glid_mm.models.XNet` from a config.

    Encoder and classifier are backbones of any library, and separate networks
    even if their settings are equal: ``glid_mm.TimmFeatures``,
    ``mmpretrain.ConvNeXt`` with ``out_indices=(0, 1, 2, 3)``, or
    ``glid_mm.GLIDEncoder``.

    Args:
        encoder: The encoder; only its last map is used.
        classifier: The decoder.
        channels: Channels of the result.
        mixing: ``'sum'``, ``'concat'``, ``'gate'`` or ``'none'``; see
            :class:`glid_mm.models.xnet.Mixing`.
        order: ``'forward'`` or ``'reversed'``; see
            :class:`glid_mm.models.XNet`.
        init_cfg (dict | list[dict], optional): ``glid_mm.Pretrained``, to
            start encoder, classifier or both from a checkpoint; a list for
            separate checkpoints.

    Raises:
        UserError: If the encoder's last map or the classifier's four are at
            other strides, or a setting is unknown.
    """

    def __init__(self,
                 encoder: dict,
                 classifier: dict,
                 channels: int = 256,
                 mixing: str = 'sum',
                 order: str = 'forward',
                 init_cfg: dict | None = None) -> None:
        encoder, classifier = map(MODELS.build, (encoder, classifier))
        if order == 'reversed' and not hasattr(classifier, 'stage'):
            raise UserError(
                "model.backbone.order='reversed' runs stages one by one: "
                "give a classifier of type='glid_mm.TimmFeatures'")
        *_, last = _maps(encoder, 'encoder', STRIDES[-1:])
        _freeze_unused(encoder)
        widths = _maps(classifier, 'classifier', STRIDES)
        try:
            super().__init__(encoder, classifier, last, widths, channels,
                             mixing, order)
        except ValueError as error:
            raise UserError(f'model.backbone: {error}') from error
        self.init_cfg = init_cfg

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Features of images.

        Args:
            images: ``(B, 3, H, W)``, standardised, any size from 32 pixels on.

        Returns:
            ``(B, channels, ⌈H/4⌉, ⌈W/4⌉)``.

        Raises:
            UserError: If images are smaller than 32 pixels.
        """
        height, width = images.shape[-2:]
        if min(height, width) < _LEAST:
            raise UserError(
                f'an image of {height}×{width} px has no position at 1/'
                f'{_LEAST}; ×Net needs at least {_LEAST} px. Resize images in '
                'the pipeline')
        return super().forward(images),

    def init_weights(self) -> None:
        """Load the weights set in ``init_cfg``.

        mmengine calls this before training. A host's network initializes
        itself first; then the checkpoint loads.
        """
        for part in (self.encoder, self.classifier):
            if hasattr(part, 'init_weights'):
                part.init_weights()
        if self.init_cfg is not None:
            initialize(self, self.init_cfg)


def _freeze_unused(encoder: nn.Module) -> None:
    """Freeze what the last map does not depend on, such as norms of others.

    With several processes, all trained parameters must get a gradient.
    """
    trained = [p for p in encoder.parameters() if p.requires_grad]
    if not trained:
        return
    with torch.enable_grad():
        last = _probe(encoder)[-1].sum()
    gradients = torch.autograd.grad(last, trained, allow_unused=True)
    for parameter, gradient in zip(trained, gradients):
        parameter.requires_grad_(gradient is not None)


def _probe(network: nn.Module) -> list[Tensor]:
    """A network's maps of a small image."""
    device = next(network.parameters()).device
    image = torch.zeros(1, 3, _PROBE, _PROBE, device=device)
    network.eval()  # some of the hosts' networks return None
    maps = network(image)
    network.train()
    return list(maps) if isinstance(maps, (tuple, list)) else [maps]


@torch.no_grad()
def _maps(network: nn.Module, part: str, strides: tuple[int]) -> tuple[int]:
    """Channels of a network's maps; checks the strides of the last ones."""
    maps = _probe(network)
    maps = maps[-1:] if len(strides) == 1 else maps
    found = [_PROBE // x.shape[-1] if x.dim() == 4 else 0 for x in maps]
    if found != list(strides):
        there = ', '.join(f'1/{s}' if s else 'none' for s in found)
        raise UserError(
            f'model.backbone.{part}: {type(network).__name__} gives '
            f'{len(found)} maps at {there} of the image, but '
            f'{", ".join(f"1/{s}" for s in strides)} are needed. Networks of '
            'mmpretrain need out_indices=(0, 1, 2, 3), and its ConvNeXt also '
            'gap_before_final_norm=False')
    return tuple(x.shape[1] for x in maps)
