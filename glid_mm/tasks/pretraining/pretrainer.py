"""GLID's pre-training: reconstruct masked units from visible ones."""
import math
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.dist import get_dist_info
from mmengine.registry import init_default_scope
from mmpretrain.models.selfsup.base import BaseSelfSupervisor
from mmpretrain.structures import DataSample
from torch import Tensor

from ...engine.randomness import shared_generator
from ...errors import UserError
from ...models import TokenGrid, sample_visible
from ...models.layers.tokens import UNIT, pick_units
from ...registry import MODELS
from ..common import check_widths
from .plan_ahead import PlanAhead


class Reconstruction(NamedTuple):
    """Pictures of a pre-training step, standardised like the input.

    Attributes:
        masked: ``(B, 3, H, W)``, masked units zero.
        reconstructed: ``(B, 3, H, W)``, visible units unchanged, masked units
            predicted.
    """

    masked: Tensor
    reconstructed: Tensor


@MODELS.register_module()
class GLIDPretrainer(BaseSelfSupervisor):
    """Masked image modeling with queries (paper §3.1).

    Args:
        backbone: ``glid_mm.GLID`` with ``num_queries=0``.
        head: ``glid_mm.PixelHead``.
        mask_ratio: Share of units that are masked.
        mask_strategy: 'random', 'block' or 'grid'.
        images_per_mask: Images of a batch that share a mask. Sharing saves
            bookkeeping and padding; the masks still change with every
            iteration.
        data_preprocessor: See ``BaseSelfSupervisor``.
        init_cfg: See ``BaseSelfSupervisor``.

    Raises:
        UserError: If the head does not fit the backbone.
        ValueError: At the first iteration, if the ratio or the strategy is
            invalid or images do not consist of whole 32×32 units.
    """

    def __init__(self,
                 backbone: dict,
                 head: dict,
                 mask_ratio: float = .75,
                 mask_strategy: str = 'random',
                 images_per_mask: int = 4,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None) -> None:
        super().__init__(
            backbone,
            head=head,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg)
        check_widths(self, 'head')
        # Raise an error for invalid settings before any image is read.
        sample_visible((6, 6), mask_ratio, mask_strategy)
        self.mask_ratio = mask_ratio
        self.mask_strategy = mask_strategy
        self.images_per_mask = images_per_mask
        self._ahead = PlanAhead()

    def loss(self, inputs: Tensor,
             data_samples: list[DataSample] | None) -> dict:
        """Loss of a batch.

        Args:
            inputs: ``(B, 3, H, W)``, standardised.
            data_samples: Not used.

        Returns:
            dict[str, Tensor]: ``loss``.
        """
        if self.training:
            # A task trains on images of the size that it tests on.
            self.backbone.encoder.note_size(_units_of(inputs))
        queries, masked = self._answer(inputs, self._plan(inputs))
        return self.head.loss(queries, pick_units(inputs, masked))

    @torch.no_grad()
    def reconstruct(self,
                    inputs: Tensor,
                    visible: Tensor | None = None) -> Reconstruction:
        """Mask a batch and reconstruct it.

        Args:
            inputs: ``(B, 3, H, W)``, standardised.
            visible: ``(G, V)`` int64, visible units of image ``b`` in row ``b
                % G``; by default drawn as in training.

        Returns:
            The visible part and the reconstruction.
        """
        if visible is None:
            grid = self._plan(inputs)
        else:
            grid = self.backbone.plan(
                visible.to(inputs.device), _units_of(inputs))
        queries, masked = self._answer(inputs, grid)
        units = pick_units(inputs, masked)
        pixels = self.head.predict(queries, units)
        return Reconstruction(
            _fill_units(inputs, masked, torch.zeros_like(units)),
            _fill_units(inputs, masked, pixels))

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Dense encoder features for mmpretrain's tools.

        Args:
            inputs: ``(B, 3, H, W)``, standardised, any size.

        Returns:
            ``(B, C, H / stride, W / stride)`` at strides 4, 8, 16 and 32.
        """
        return self.backbone.encode(inputs)

    def _answer(self, inputs: Tensor,
                grid: TokenGrid) -> tuple[Tensor, Tensor]:
        """Decoded queries of masked units, and the units' indices."""
        features = self.backbone.forward_masked(inputs, grid)
        return features[-1][:, 1:], grid.masked

    def _plan(self, inputs: Tensor) -> TokenGrid:
        """Draw masks of a training batch, and plan its step."""
        args = _units_of(inputs), len(inputs)
        if inputs.is_cpu:
            return self.plan(*args, shared_generator())
        return self._ahead(self.plan, args, inputs.device)

    def plan(self, units: tuple[int, int], batch: int,
             generator: torch.Generator) -> TokenGrid:
        """Draw masks and plan a step, on the host.

        Args:
            units: Rows and columns of units in an image.
            batch: Number of images of this process.
            generator: Source of randomness, the same in all processes.

        Returns:
            The plan on the CPU.
        """
        # All processes draw the masks of the joint batch; each keeps those
        # that its images would have had in a single process.
        rank, world_size = get_dist_info()
        joint = batch * world_size
        groups = joint // math.gcd(joint, self.images_per_mask)
        visible = sample_visible(units, self.mask_ratio, self.mask_strategy,
                                 groups, generator)
        own = groups // math.gcd(groups, world_size)
        places = range(rank, joint, world_size)[:own]
        repeats = batch // own if next(self.parameters()).is_cpu else 1
        return self.backbone.plan(visible[[i % groups for i in places]], units,
                                  repeats)


def build_pretrainer(config: Config) -> GLIDPretrainer:
    """Build the model of a pre-training config.

    Args:
        config: The config; it also sets the default scope.

    Raises:
        UserError: If it is the config of a task.
    """
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    if not isinstance(model, GLIDPretrainer):
        raise UserError(f'{config.filename} is not a pre-training config: a '
                        f'{type(model).__name__} cannot reconstruct')
    return model


def _units_of(images: Tensor) -> tuple[int, int]:
    return images.shape[-2] // UNIT, images.shape[-1] // UNIT


def _fill_units(images: Tensor, index: Tensor, units: Tensor) -> Tensor:
    """Replace units ``index`` ``(G, N)`` by ``(B, N, 3, 32, 32)`` pixels."""
    images = images.clone()
    cols = images.shape[-1] // UNIT
    for image, rows, pixels in zip(images,
                                   index.repeat(len(images) // len(index), 1),
                                   units):
        for unit, patch in zip(rows.tolist(), pixels):
            top, left = unit // cols * UNIT, unit % cols * UNIT
            image[:, top:top + UNIT, left:left + UNIT] = patch
    return images
