"""The base of heads that predict depth within a range."""
import torch
from mmengine.model import BaseModule
from torch import Tensor

from ...engine.arrival import Arrival, works_ahead
from ...errors import UserError
from ...registry import MODELS
from ..common import full_size, padding_mask

# Depth whose median is off the range by this factor has another unit: wrong
# factors are at least 100, such as 256 or 1000. The upper end counts as well,
# because the lower one is often almost 0.
FAR = 5.
NEAR_TO_NOTHING = 1e-3


class RangeHead(BaseModule):
    """Loss and prediction of depth; subclasses implement ``forward``.

    ``forward`` returns ``(L, B, h, w)`` in metres, at a finest stride of 4;
    the last one is the prediction. It and the loss are always in fp32.

    Args:
        min_depth: Smallest depth, in metres; nearer pixels are not supervised.
        max_depth: Largest depth, in metres.
        auxiliary_weight: Weight of the loss of each prediction before the
            last.
        loss_depth: Loss that takes predicted depth, true depth and a mask.
        init_cfg: See ``BaseModule``.

    Raises:
        UserError: If the range is invalid.
    """
    # Attributes that mmseg's segmentors need.
    num_classes = out_channels = 1
    align_corners = False

    def __init__(self,
                 min_depth: float,
                 max_depth: float,
                 auxiliary_weight: float = 0.,
                 loss_depth: dict = dict(type='glid_mm.ScaleInvariantLogLoss'),
                 init_cfg: dict = None) -> None:
        if not 0 <= min_depth < max_depth:
            raise UserError(
                f'decode_head: min_depth={min_depth} and max_depth='
                f'{max_depth}, in metres, must be a range with 0 <= min_depth '
                '< max_depth')
        super().__init__(init_cfg)
        self.min_depth = min_depth
        self.max_depth = max_depth
        self.auxiliary_weight = auxiliary_weight
        self.loss_depth = MODELS.build(loss_depth)
        self._unit_check: _UnitCheck | None = None

    def loss(self, x, batch_data_samples: list, train_cfg: dict) -> dict:
        """Losses at the size of the input.

        Args:
            x: Features for ``forward``.
            batch_data_samples (list[SegDataSample]): Samples with
                ``gt_depth_map`` in metres, 0 where unknown, and ``img_shape``:
                padding is not supervised, whatever its depth.
            train_cfg: Settings of the estimator; not used.

        Returns:
            dict[str, Tensor]: ``loss_silog`` of the last prediction, and
            ``d0.loss_silog`` and so on of earlier ones.

        Raises:
            UserError: If the depth of an image is in another unit; on a GPU,
                the error is raised at the next batch.
        """
        target, valid = self._targets(batch_data_samples)
        depths = full_size(self(x), target.shape[-2:])
        with torch.autocast(target.device.type, enabled=False):
            *earlier, last = [
                self.loss_depth(depth, target, valid) for depth in depths
            ]
        losses = dict(loss_silog=last)
        for i, loss in enumerate(earlier):
            losses[f'd{i}.loss_silog'] = self.auxiliary_weight * loss
        return losses

    def predict(self, x, size: tuple[int, int]) -> Tensor:
        """Depth of images.

        Args:
            x: Features for ``forward``.
            size: Height and width of the input.

        Returns:
            ``(B, 1, H, W)`` in metres.
        """
        return full_size(self(x), size)[-1, :, None]

    def _targets(self, data_samples: list) -> tuple[Tensor, Tensor]:
        """True depth and where it is known, both ``(B, H, W)``."""
        target = torch.cat([s.gt_depth_map.data for s in data_samples]).float()
        metas = [sample.metainfo for sample in data_samples]
        known = (target > 0) & target.isfinite()
        padding = padding_mask(target, data_samples)
        if padding is not None:
            known &= ~padding
        self._check_unit(target, known, metas)
        return target, known & (target >= self.min_depth) & (
            target <= self.max_depth)

    def _check_unit(self, target: Tensor, known: Tensor, metas: list) -> None:
        """Raise an error if most of an image's depth is far outside the range.

        A GPU's result is read at the next batch, so the GPU does not stop;
        pixels outside the range do no harm.
        """
        check = _UnitCheck(self, target, known, metas)
        if works_ahead(target.device):
            check, self._unit_check = self._unit_check, check
        if check is not None:
            check.stop_if_wrong()


class _UnitCheck:
    """Check whether the depth of an image has another unit than the range."""

    def __init__(self, head: RangeHead, target: Tensor, known: Tensor,
                 metas: list) -> None:
        self.range = head.min_depth, head.max_depth
        self.target, self.known, self.metas = target, known, metas
        low = max(head.min_depth / FAR, head.max_depth * NEAR_TO_NOTHING)
        high = head.max_depth * FAR
        most = known.sum((1, 2)) / 2
        near, far = ((known & beyond).sum((1, 2)) > most
                     for beyond in (target < low, target > high))
        self.wrong = Arrival(near | far)

    def stop_if_wrong(self) -> None:
        """Raise an error if the unit is wrong.

        Raises:
            UserError: If it is wrong; names the image and the settings.
        """
        wrong = self.wrong.get()
        if not wrong.any():
            return
        index = int(wrong.int().argmax())
        meta = self.metas[index]
        path = meta.get('depth_map_path', meta.get('img_path', 'an image'))
        median = self.target[index][self.known[index]].median().item()
        low, high = self.range
        raise UserError(
            f'the depth of {path} has a median of {median:.4g} m, far from '
            f'the range of the config ({low:g} to {high:g} m), so its unit is '
            'probably wrong. Set depth_rescale_factor of LoadDepth in the '
            'pipelines to the factor that gives metres (1e-3 for millimetres, '
            '1/256 for KITTI), or min_depth and max_depth of the head; '
            'unknown depth must be 0.')
