"""GLID for OpenMMLab's configs: ``type='glid_mm.GLID'``.

The adapter goes into the slot that every host library names ``backbone``.
Weights therefore have the same names in pre-training and in all tasks, and a
checkpoint of one loads into another without conversion.
"""
import logging

import torch
from mmengine.logging import print_log
from mmengine.model import initialize
from torch import Tensor

from .. import models
from ..checkpoint.bias_tables import extend_rims, fit_bias_tables, logger
from ..checkpoint.report import LoadReport, parts_of
from ..checkpoint.upgrade import upgrade
from ..engine.graphs import Graphs
from ..errors import UserError
from ..models import TokenGrid
from ..registry import MODELS


@MODELS.register_module('GLID')
class GLIDBackbone(models.GLID):
    """Build :class:`glid_mm.models.GLID` from a config.

    Args:
        encoder: Arguments of :class:`~glid_mm.models.SwinEncoder`, such as
            ``dict(arch='base', drop_path_rate=0.3)``.
        neck: Arguments of :class:`~glid_mm.models.BiFPN` except
            ``in_channels``.
        decoder: Arguments of :class:`~glid_mm.models.QueryDecoder` except
            ``memory_dims``.
        num_queries: Queries of the task; 0 for pre-training.
        embedding_std: Initial standard deviation of the queries' own
            embeddings; 0 in the paper.
        embedding_positions: Whether they start as positions spread over the
            image.
        recompute: Whether cheap activations are computed again in the backward
            pass instead of stored; None does so on CPUs.
        compile: Whether blocks, fusions and decoder layers are compiled at
            their first call. Each input shape takes a minute or more, so use
            it for images of one size.
        cuda_graph: Whether training steps on a GPU replay the passes of the
            model as CUDA graphs, where nothing is padded.
        init_cfg: ``glid_mm.Pretrained``, to start all or some parts from a
            checkpoint.

    Raises:
        UserError: If a width is invalid.
    """
    #: Classes for groups of settings without a type.
    PARTS = dict(
        encoder=models.SwinEncoder,
        neck=models.BiFPN,
        decoder=models.QueryDecoder)

    def __init__(self,
                 encoder: dict,
                 neck: dict | None = None,
                 decoder: dict | None = None,
                 num_queries: int = 0,
                 embedding_std: float = 0.,
                 embedding_positions: bool = False,
                 recompute: bool | None = None,
                 compile: bool = False,
                 cuda_graph: bool = False,
                 init_cfg: dict | None = None) -> None:
        encoder = models.SwinEncoder(**encoder)
        neck = models.BiFPN(encoder.out_channels, **(neck or {}))
        if neck.channels % 4:
            raise UserError(
                f'model.backbone.neck.channels={neck.channels} must be a '
                'multiple of 4, for two-dimensional positions')
        decoder = models.QueryDecoder(neck.channels, **(decoder or {}))
        heads = decoder.layers[0].self_attn.num_heads
        if decoder.dims % 4 or decoder.dims % heads:
            raise UserError(
                f'model.backbone.decoder.dims={decoder.dims} must be a '
                f'multiple of 4 and of its num_heads={heads}')
        super().__init__(encoder, neck, decoder, num_queries, embedding_std,
                         embedding_positions, recompute)
        self.init_cfg = init_cfg
        if compile:
            self.compile_regions()
        self.cuda_graph = cuda_graph
        self._graphs = None

    def forward(self,
                images: Tensor,
                padding_mask: Tensor | None = None,
                *groups: slice) -> models.GLIDOutput:
        """See :class:`glid_mm.models.GLID`."""
        if not self._replays(images) or padding_mask is not None:
            return super().forward(images, padding_mask, *groups)

        def whole(images: Tensor) -> models.GLIDOutput:
            return super(GLIDBackbone, self).forward(images, None, *groups)

        return self._graphs(whole, images, kind=str(groups))

    def forward_masked(self, images: Tensor, visible) -> Tensor:
        """See :class:`glid_mm.models.GLID`."""
        if not (self._replays(images) and isinstance(visible, TokenGrid)):
            return super().forward_masked(images, visible)
        numbers = []
        visible.apply(lambda x: numbers.append(x) or x)

        def masked(images: Tensor, *numbers: Tensor) -> Tensor:
            rest = iter(numbers)
            grid = visible.apply(lambda _: next(rest))
            return super(GLIDBackbone, self).forward_masked(images, grid)

        return self._graphs(masked, images, *numbers)

    def _replays(self, images: Tensor) -> bool:
        """Whether to replay a pass as a CUDA graph."""
        if not (self.cuda_graph and self.training and images.is_cuda
                and torch.is_grad_enabled()):
            return False
        if self._graphs is None:
            self._graphs = Graphs(self)
        return True

    def init_weights(self) -> None:
        """Load the weights set in ``init_cfg``.

        mmengine calls this before training.
        """
        if self.init_cfg is not None:
            initialize(self, self.init_cfg)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:
        """Fit weights to this model; refuse another architecture.

        mmengine does not load strictly and would only log differences. Task,
        queries and windows may differ: position biases are resized, and
        extended for a task's larger images.

        Raises:
            CheckpointError: If weights are missing or of other shapes.
        """
        upgrade(state_dict, prefix)
        given = {
            name.removeprefix(prefix): value
            for name, value in state_dict.items() if name.startswith(prefix)
        }
        report = LoadReport(self.state_dict(), given)
        report.refuse(parts_of(self))
        embeddings = 'queries.embeddings'
        if embeddings in report.differing:
            print_log(
                f'{prefix}{embeddings}: the checkpoint has '
                f'{len(given[embeddings])} queries, this task '
                f'{self.queries.num_queries}; they stay untrained', 'current',
                logging.WARNING)
            del state_dict[prefix + embeddings]
        encoder = prefix + 'encoder.'
        windows = [stage.window_size for stage in self.encoder.stages]
        fit_bias_tables(state_dict, windows, encoder)
        if self.queries is None or self.queries.num_queries:
            for line in extend_rims(state_dict, encoder):
                logger.warning(line)
        super()._load_from_state_dict(state_dict, prefix, *args)
