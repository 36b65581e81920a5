"""Parts of GLID as backbones of the hosts' own models.

Weights have the same names as in GLID, so a GLID checkpoint can initialize a
Mask R-CNN, a UPerNet or a MaskFormer without conversion. This is Figure 1's
baseline, which transfers only the encoder.
"""
from collections.abc import Sequence

from torch import Tensor

from ..registry import MODELS
from .glid import GLIDBackbone


@MODELS.register_module()
class GLIDEncoder(GLIDBackbone):
    """GLID's encoder: four maps at strides 4, 8, 16 and 32.

    Like other backbones, it treats padding as part of the image.

    Args:
        encoder, recompute, compile: See :class:`GLIDBackbone`.
        out_indices: Indices of the maps to return, of four.
        init_cfg: ``glid_mm.Pretrained``, which by default loads all parts of
            this backbone.
    """

    def __init__(self,
                 encoder: dict,
                 out_indices: Sequence[int] = (0, 1, 2, 3),
                 recompute: bool | None = None,
                 compile: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(
            encoder, recompute=recompute, compile=compile, init_cfg=init_cfg)
        self.neck = self.queries = self.decoder = None
        self.out_indices = tuple(range(4)[i] for i in out_indices)
        # DistributedDataParallel waits for the gradient of every weight.
        for i, norm in enumerate(self.encoder.norms):
            norm.requires_grad_(i in self.out_indices)
        for stage in self.encoder.stages[max(self.out_indices) + 1:]:
            stage.requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """``(B, C, ⌈H/s⌉, ⌈W/s⌉)`` at the selected strides s; C doubles."""
        maps = self.encode(images)
        return tuple(maps[i] for i in self.out_indices)


@MODELS.register_module()
class GLIDPyramid(GLIDBackbone):
    """GLID's encoder and neck: four maps of one width.

    It replaces a backbone and its feature pyramid, so a model with it needs no
    ``neck``. All maps have the ``channels`` of GLID's neck. Padding is as in
    :class:`GLIDEncoder`.

    Args:
        encoder, neck, recompute, compile: See :class:`GLIDBackbone`.
        init_cfg: See :class:`GLIDEncoder`.
    """

    def __init__(self,
                 encoder: dict,
                 neck: dict | None = None,
                 recompute: bool | None = None,
                 compile: bool = False,
                 init_cfg: dict | None = None) -> None:
        super().__init__(
            encoder,
            neck,
            recompute=recompute,
            compile=compile,
            init_cfg=init_cfg)
        self.queries = self.decoder = None

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """``(B, channels, ⌈H/s⌉, ⌈W/s⌉)`` at strides s of 4, 8, 16 and 32."""
        return self.encode(images, neck=True)
