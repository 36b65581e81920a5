"""Draw reconstructions."""
import numpy as np
from torch import Tensor, nn

from ...visualization import tile, to_pictures


def reconstruction_panel(model: nn.Module, images: Tensor,
                         visible: Tensor) -> np.ndarray:
    """Draw rows of inputs, visible parts, and reconstructions.

    Args:
        model: Runs in eval mode; its own mode is restored.
        images: ``(B, 3, H, W)`` uint8 BGR, on CPU.
        visible: ``(G, V)`` int64, visible units of image ``b`` in row ``b %
            G``.

    Returns:
        ``(H', W', 3)`` uint8 RGB, one column per image. Masked units have the
        mean colour, which the model normalizes to zero.
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
