"""What pre-training makes of masked images, for people to look at."""
from typing import Sequence, Tuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from ..datasets.loading import load_image
from .panels import tile


def load_images(paths: Sequence, size: Tuple[int, int]) -> Tensor:
    """Read images alike each time: resized, the middle cut out.

    Args:
        paths (Sequence[str | Path]): Image files, or addresses that
            ``mmengine.fileio`` knows.
        size (tuple[int, int]): Height and width in pixels.

    Returns:
        Tensor: ``(B, 3, H, W)`` uint8, BGR as hosts load images.

    Raises:
        UserError: If a file cannot be read as an image; names it.
    """
    images = []
    for path in paths:
        image = ImageOps.fit(
            load_image(path), size[::-1], Image.Resampling.BICUBIC)
        images.append(np.array(image)[..., ::-1].transpose(2, 0, 1))
    return torch.from_numpy(np.stack(images))


def reconstruction_panel(model: nn.Module, images: Tensor,
                         visible: Tensor) -> np.ndarray:
    """Draw rows of inputs, of what stays visible, and of reconstructions.

    Args:
        model (GLIDPretrainer): Is evaluated, and left in the mode it is in.
        images (Tensor): ``(B, 3, H, W)`` uint8 BGR, on CPU.
        visible (Tensor): ``(G, V)`` int64, visible units of image ``b`` in
            row ``b % G``.

    Returns:
        ndarray: ``(H', W', 3)`` uint8 RGB, one image to a column. Masked
        units have the mean colour, which is zero to the model.
    """
    training = model.training
    model.eval()
    try:
        inputs = model.data_preprocessor(
            dict(inputs=images, data_samples=None))['inputs']
        answer = model.reconstruct(inputs, visible)
    finally:
        model.train(training)
    return tile([
        list(to_pictures(row, model.data_preprocessor))
        for row in (inputs, answer.masked, answer.reconstructed)
    ])


def to_pictures(inputs: Tensor, preprocessor: nn.Module) -> np.ndarray:
    """Undo a preprocessor of any host.

    Args:
        inputs (Tensor): ``(B, 3, H, W)``, standardised.
        preprocessor (nn.Module): Which did that.

    Returns:
        ndarray: ``(B, H, W, 3)`` uint8 RGB.
    """
    if preprocessor._enable_normalize:
        inputs = inputs * preprocessor.std + preprocessor.mean
    # Upstream's mmseg names it otherwise.
    to_rgb = getattr(preprocessor, '_channel_conversion',
                     getattr(preprocessor, 'channel_conversion', False))
    if not to_rgb:
        inputs = inputs.flip(1)
    pixels = inputs.round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).cpu().numpy()
