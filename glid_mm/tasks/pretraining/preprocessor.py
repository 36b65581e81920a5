"""Standardise images, and resize crops that come unresized."""
import torch
from mmpretrain.models import SelfSupDataPreprocessor
from torch import Tensor

from ...registry import MODELS
from .loading import CanvasCrop


@MODELS.register_module()
class CropPreprocessor(SelfSupDataPreprocessor):
    """mmpretrain's preprocessor, extended to resize and flip crops.

    Images are resized if the pipeline leaves that to the device (``canvas`` of
    :class:`LoadRandomResizedCrop`). Random numbers are drawn in the pipeline
    by the place of the sample, as always, so resuming and several ranks stay
    exact. Nothing here waits for the device.

    Args:
        **kwargs: See ``mmpretrain.models.SelfSupDataPreprocessor``.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Turn a batch into inputs of the model.

        Args:
            data: ``inputs``, ``(B, 3, H, W)`` uint8, or canvases ``(B, S, S,
                3)`` with ``crop`` in each of ``data_samples``.
            training: Not used.

        Returns:
            ``inputs``, ``(B, 3, H, W)`` float32, standardised, and unchanged
            ``data_samples``.
        """
        inputs = self.cast_data(data['inputs'])
        samples = data.get('data_samples')
        if samples and 'crop' in samples[0]:
            inputs = resize_crops(inputs, [s.crop for s in samples])
        if self._channel_conversion:
            inputs = inputs.flip(1)
        inputs = inputs.float()
        if self._enable_normalize:
            inputs = (inputs - self.mean) / self.std
        return dict(inputs=inputs, data_samples=samples)


def resize_crops(canvases: Tensor, crops: list[CanvasCrop]) -> Tensor:
    """Crop and resize parts of canvases, all in two matrix products.

    Columns, then rows get the weights of Pillow's bicubic filter, with
    antialiasing when shrinking. Unlike Pillow, it does not round after each.

    Args:
        canvases: ``(B, S, S, C)`` uint8.
        crops: One for each, of the same ``scale``.

    Returns:
        ``(B, C, H, W)`` float32 within 0 and 255.
    """
    height, width = crops[0].scale
    side = canvases.shape[1]
    numbers = torch.tensor([(*c.box, *c.size, c.flip) for c in crops])
    left, top, right, bottom, cols, rows, flip = numbers.to(
        canvases.device, non_blocking=True).unbind(1)
    across = _bicubic(left, right, cols, side, width)
    across = torch.where(flip[:, None, None] > 0, across.flip(1), across)
    down = _bicubic(top, bottom, rows, side, height)
    # bf16 would round 8-bit values.
    with torch.autocast(canvases.device.type, enabled=False):
        pixels = canvases.permute(0, 3, 1, 2).float() @ across.mT[:, None]
        return (down[:, None] @ pixels.clamp(0, 255)).clamp(0, 255)


def _bicubic(start: Tensor, end: Tensor, size: Tensor, pixels: int,
             samples: int) -> Tensor:
    """Weights ``(B, samples, pixels)`` that resample a line.

    Args:
        start: ``(B, )``, start of the part in pixels.
        end: ``(B, )``, end of the part.
        size: ``(B, )``, existing pixels of the line.
        pixels: Pixels of the line.
        samples: Number of samples of the part.
    """
    start, end, size = (x[:, None, None] for x in (start, end, size))
    step = (end - start) / samples
    taken = torch.arange(samples, device=start.device)[:, None]
    there = torch.arange(pixels, device=start.device)
    x = there + .5 - (start + (taken + .5) * step)
    x = (x / step.clamp(min=1)).abs()
    # Keys' kernel with a = -1/2.
    weights = torch.where(x < 1, (1.5 * x - 2.5) * x * x + 1,
                          ((-.5 * x + 2.5) * x - 4) * x + 2)
    weights = weights * ((x < 2) & (there < size))
    return weights / weights.sum(2, keepdim=True)
