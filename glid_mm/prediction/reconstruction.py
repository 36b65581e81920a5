"""Reconstruct a picture from its visible part with pre-trained weights."""
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from PIL import Image
from torch import nn

from ..checkpoint.loading import load_weights
from ..errors import UserError
from ..models import sample_visible
from ..models.layers.tokens import UNIT
from ..visualization.images import fit_images, to_pictures
from .pictures import Picture
from .runs import Run


class Reconstruction(NamedTuple):
    """A picture and its reconstruction, all of the same size.

    Attributes:
        picture: The input, cropped and resized.
        masked: The part that the model saw; the rest has the mean colour.
        reconstructed: Visible units unchanged, masked units as predicted.
        mask: ``(H / 32, W / 32)`` bool, True where masked.
    """

    picture: Image.Image
    masked: Image.Image
    reconstructed: Image.Image
    mask: np.ndarray


def build(run: Run, device: torch.device) -> nn.Module:
    """Build a pre-trained model with its weights.

    Args:
        run: A pre-training run.
        device: Device to compute on.

    Raises:
        CheckpointError: If weights are missing.
    """
    from ..tasks.pretraining import build_pretrainer
    model = build_pretrainer(run.config)
    load_weights(model, run.checkpoint, False, ()).refuse_untrained()
    return model.to(device).eval()


def random_mask(units: int,
                ratio: float = .75,
                strategy: str = 'random',
                seed: int = 0) -> np.ndarray:
    """Draw a mask as training does.

    Args:
        units: Number of 32-pixel units per side.
        ratio: Share of units that are masked.
        strategy: 'random', 'block' or 'grid'.
        seed: Seed of the draw.

    Returns:
        ``(units, units)`` bool, True where masked.
    """
    visible = sample_visible((units, units), ratio, strategy, 1,
                             torch.Generator().manual_seed(seed))
    mask = np.ones(units * units, bool)
    mask[visible[0].numpy()] = False
    return mask.reshape(units, units)


def reconstruct(model: nn.Module, config: Config, picture: Picture,
                mask: np.ndarray | None, size: int | None) -> Reconstruction:
    """See :meth:`Predictor.reconstruct`."""
    from ..tasks.pretraining import crop_size
    if size is None:
        size = len(mask) * UNIT if mask is not None else crop_size(config)
    if size < UNIT or size % UNIT:
        raise UserError(f'size must be a multiple of {UNIT}, not {size}')
    units = size // UNIT
    if mask is None:
        mask = random_mask(units, model.mask_ratio, model.mask_strategy)
    mask = np.asarray(mask, bool)
    if mask.shape != (units, units):
        raise UserError(f'the mask has shape {mask.shape}, but a picture of '
                        f'{size} pixels has {units}×{units} units')
    if mask.all() or not mask.any():
        raise UserError(
            'the mask must hide at least one unit and leave at least one '
            f'visible. This one hides {mask.sum()} of {mask.size}.')
    image = Image.fromarray(picture.pixels()[..., ::-1])
    device = next(model.parameters()).device
    images = fit_images([image], (size, size)).to(device)
    visible = torch.from_numpy(np.flatnonzero(~mask))[None]
    inputs = model.data_preprocessor(dict(inputs=images,
                                          data_samples=None))['inputs']
    answer = model.reconstruct(inputs, visible)
    pictures = (
        Image.fromarray(to_pictures(x, model.data_preprocessor)[0])
        for x in (inputs, answer.masked, answer.reconstructed))
    return Reconstruction(*pictures, mask)
