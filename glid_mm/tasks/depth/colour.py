"""Colour changes that imitate other cameras and lighting."""
import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomColour(BaseTransform):
    """Change gamma, brightness and the balance of channels.

    It is common in depth estimation (https://arxiv.org/abs/1907.10326),
    where strong changes of hue are harmful.

    Required and modified key: ``img``, ``(H, W, 3)`` uint8.

    Args:
        prob: Probability of a change.
        gamma: Range of the exponent.
        brightness: Range of a factor of all channels.
        colour: Range of a factor of each channel.
    """

    def __init__(
        self,
        prob: float = .5,
        gamma: tuple[float, float] = (.9, 1.1),
        brightness: tuple[float, float] = (.75, 1.25),
        colour: tuple[float, float] = (.9, 1.1)
    ) -> None:
        self.prob = prob
        self.gamma = gamma
        self.brightness = brightness
        self.colour = colour

    def transform(self, results: dict) -> dict:
        """Change the image.

        Args:
            results: Results of a pipeline.

        Returns:
            The results with the changed ``img``.
        """
        if np.random.rand() < self.prob:
            factors = np.random.uniform(*self.brightness)
            factors = factors * np.random.uniform(*self.colour, size=3)
            # A table of 256 values per channel is enough.
            table = (np.arange(256) / 255)**np.random.uniform(*self.gamma)
            table = np.rint(255 * table[:, None] * factors).clip(0, 255)
            table = table.astype(np.uint8)
            image = results['img']
            results['img'] = np.stack(
                [table[image[..., c], c] for c in range(3)], -1)
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(prob={self.prob}, gamma={self.gamma}, '
                f'brightness={self.brightness}, colour={self.colour})')
