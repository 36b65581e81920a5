"""GLID as a depth estimator for mmseg."""
from collections.abc import Sequence

from mmseg.models.segmentors import DepthEstimator
from torch import Tensor

from ...errors import UserError
from ...models import GLIDOutput
from ...registry import MODELS
from ..common import (Metas, check_widths, decodes_queries, dense_features,
                      padding_mask)


@MODELS.register_module()
class GLIDDepthEstimator(DepthEstimator):
    """``DepthEstimator`` that ignores padding.

    Args:
        backbone (dict): ``glid_mm.GLID``; ``num_queries`` is the number of
            bins. Or a backbone of maps, such as ``glid_mm.XNet``, which does
            not mask padding.
        decode_head (dict): ``glid_mm.DepthHead``, or for maps
            ``glid_mm.PixelDepthHead``.
        test_cfg (dict): ``mode``, ``'whole'`` or ``'slide'`` with
            ``crop_size`` and ``stride``; ``flip``, whether to average the
            predictions for the image and its mirror image.
        **kwargs: See ``mmseg.models.DepthEstimator``.

    Raises:
        UserError: If the head does not fit the backbone.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_widths(self, 'decode_head')

    def extract_feat(self,
                     inputs: Tensor,
                     batch_img_metas: Metas | None = None
                     ) -> GLIDOutput | Sequence[Tensor]:
        """Features of a batch.

        Args:
            inputs: ``(B, 3, H, W)``, standardised.
            batch_img_metas: Sizes of the images without padding.

        Returns:
            Inputs of the head.
        """
        if not decodes_queries(self.backbone):
            return super().extract_feat(inputs, batch_img_metas)
        return dense_features(self.backbone, inputs, batch_img_metas)

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Depth ``(B, 1, H, W)``; mmseg's discards the result of sliding."""
        if self.test_cfg.get('mode') == 'slide':
            return self.slide_inference(inputs, batch_img_metas)
        return super().inference(inputs, batch_img_metas)

    def encode_decode(self, inputs: Tensor,
                      batch_img_metas: list[dict]) -> Tensor:
        """Depth ``(B, 1, H, W)`` of images or of sliding crops.

        Raises:
            UserError: If the flip test is on and images are padded.
        """
        if self.test_cfg.get('mode', 'whole') != 'whole':
            batch_img_metas = None
        flip = self.test_cfg.get('flip')
        if flip and padding_mask(inputs, batch_img_metas) is not None:
            raise UserError(
                'test_cfg.flip: a mirrored padded image has its padding '
                'on the wrong side. Remove test_cfg of the '
                'data_preprocessor: the model takes images of any size.')
        size = inputs.shape[-2:]
        depth = self.decode_head.predict(
            self.extract_feat(inputs, batch_img_metas), size)
        if not flip:
            return depth
        mirrored = self.decode_head.predict(
            self.extract_feat(inputs.flip(-1)), size)
        return (depth + mirrored.flip(-1)) / 2
