"""GLID as a segmentor for mmseg."""
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

from ...models import GLIDOutput
from ...registry import MODELS
from ..common import Metas, check_widths, dense_features
from ..masks.focus import check_focus
from .ignored import follow


@MODELS.register_module()
class GLIDSegmentor(EncoderDecoder):
    """``EncoderDecoder`` that ignores padding.

    Args:
        backbone (dict): ``glid_mm.GLID`` with the task's ``num_queries``.
        decode_head (dict): ``glid_mm.SemanticHead``.
        **kwargs: See ``mmseg.models.EncoderDecoder``; whole and slide
            inference work in the same way.

    Raises:
        UserError: If the head does not fit the backbone, or labels are padded
            with another value than its ``ignore_index``.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        check_widths(self, 'decode_head')
        check_focus(self, 'decode_head')
        follow(self.data_preprocessor, self.decode_head.ignore_index,
               'model.data_preprocessor')

    def extract_feat(self,
                     inputs: Tensor,
                     batch_img_metas: Metas | None = None) -> GLIDOutput:
        """Features of a batch.

        Args:
            inputs: ``(B, 3, H, W)``, standardised.
            batch_img_metas: Sizes of the images without padding.

        Returns:
            Inputs of the head.
        """
        return dense_features(self.backbone, inputs, batch_img_metas,
                              self.decode_head.focus)

    def loss(self, inputs: Tensor, data_samples: list) -> dict:
        """Losses of a batch, see ``EncoderDecoder.loss``."""
        x = self.extract_feat(inputs, data_samples)
        return self._decode_head_forward_train(x, data_samples)

    def predict(self,
                inputs: Tensor,
                data_samples: list | None = None) -> list:
        """Predictions of a batch, see ``EncoderDecoder.predict``.

        Raises:
            UserError: If a label map has labels that are neither a class nor
                ignored.
        """
        self.decode_head.check_labels(data_samples or [])
        return super().predict(inputs, data_samples)

    def encode_decode(self, inputs: Tensor, batch_img_metas: Metas) -> Tensor:
        """Class scores ``(B, K, H, W)`` of images or of sliding crops."""
        crops = self.test_cfg.get('mode', 'whole') == 'slide'
        x = self.extract_feat(inputs, None if crops else batch_img_metas)
        return self.decode_head.predict(x, inputs.shape[-2:])
