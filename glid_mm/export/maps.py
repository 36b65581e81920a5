"""Graphs for semantic segmentation and depth, which predict every pixel."""
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import UserError
from .agreement import largest, regret
from .graph import Answers, Graph


class _Map(Graph):
    """The base for mmseg's models, whose outputs have the input's size."""

    def __init__(self, model: nn.Module, *args) -> None:
        super().__init__(model, *args)
        mode = model.test_cfg.get('mode', 'whole')
        if mode != 'whole':
            raise UserError(
                f'test_cfg.mode={mode!r}: export supports whole pictures '
                "only. Set model.test_cfg=dict(mode='whole') in the config.")

    def sample(self, size):
        from mmseg.structures import SegDataSample
        return SegDataSample(metainfo=self.metas(size))


class Semantic(_Map):
    """The class of every pixel."""
    OUTPUTS: Mapping[str, str] = dict(
        labels='(N, H, W) int64: index of the class',
        scores='(N, K, H, W) float32: unnormalised score of every class')
    MAPS = 'labels', 'scores'

    @staticmethod
    def host_class() -> type:
        from mmseg.models.segmentors import EncoderDecoder
        return EncoderDecoder

    def decide(self, x: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        metas = sizes if self.masks_padding else [self.metas(self.size)]
        scores = self.model.encode_decode(x, metas)
        return scores.argmax(1), scores

    def read(self, sample) -> Answers:
        return dict(
            labels=sample.pred_sem_seg.data[0].numpy(),
            scores=sample.seg_logits.data.numpy())

    def compare(self, host: Answers, ours: Answers) -> dict[str, float]:
        scores = host['scores']
        return dict(
            labels=regret(scores, ours['labels']),
            scores=largest(scores, ours['scores'],
                           np.abs(scores).max()))


class Depth(_Map):
    """Metric depth of every pixel."""
    OUTPUTS: Mapping[str, str] = dict(depth='(N, H, W) float32: metres')
    MAPS = 'depth',

    @staticmethod
    def host_class() -> type:
        from ..tasks.depth import GLIDDepthEstimator
        return GLIDDepthEstimator

    def decide(self, x: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        flip, widths = self.model.test_cfg.get('flip'), sizes[:, 1]
        if flip:
            # One batch for both keeps the graph half as large.
            x = torch.cat([x, _mirror(x, widths)])
            sizes = sizes.repeat(2, 1)
        depth = self.model.decode_head.predict(
            self.model.extract_feat(x, sizes), self.size)[:, 0]
        if flip:
            depth, mirrored = depth.unflatten(0, (2, -1)).unbind()
            depth = (depth + _mirror(mirrored, widths)) / 2
        return depth,

    def read(self, sample) -> Answers:
        return dict(depth=sample.pred_depth_map.data[0].numpy())

    def compare(self, host: Answers, ours: Answers) -> dict[str, float]:
        depth = host['depth']
        return dict(depth=largest(depth, ours['depth'], np.abs(depth).max()))

    def facts(self) -> dict:
        head = self.model.decode_head
        return dict(range=[head.min_depth, head.max_depth])


def _mirror(maps: Tensor, widths: Tensor) -> Tensor:
    """Mirror pictures but keep the padding on the right.

    Args:
        maps: ``(N, …, H, W)``.
        widths: Width of each picture without padding, ``(N,)``.
    """
    columns = torch.arange(maps.shape[-1], device=maps.device)
    mirrored = widths[:, None] - 1 - columns
    source = torch.where(mirrored >= 0, mirrored, columns)
    for _ in maps.shape[1:-1]:
        source = source.unsqueeze(1)
    return maps.gather(-1, source.expand_as(maps))
