"""Graphs for instance and panoptic segmentation.

They give the results of mmdet's ``MaskFormerFusionHead``, which loops over
pictures and segments.
"""
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..tasks.common import padding_mask
from .agreement import largest, pair, unequal
from .graph import Answers, Graph


class _Masks(Graph):
    """The base for models whose queries predict a class and a mask each."""
    #: Key of ``test_cfg`` that enables the task, and its default.
    SWITCH: tuple[str, bool]

    def __init__(self, model: nn.Module, *args) -> None:
        super().__init__(model, *args)
        name, default = self.SWITCH
        if not model.test_cfg.get(name, default):
            raise UserError(
                f'test_cfg.{name} of the model is off, which disables this '
                'task. Choose the other task (instance or panoptic), or set '
                f'model.test_cfg.{name}=True.')
        self.head = model.panoptic_fusion_head

    @staticmethod
    def host_class() -> type:
        from ..tasks.panoptic import GLIDMaskFormer
        return GLIDMaskFormer

    def answer(self, x: Tensor,
               sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predict from normalized input.

        Returns:
            Class probabilities ``(N, M, K + 1)``; mask logits ``(N, M, H,
            W)``, -inf in padding; and ``(N, H, W)`` bool, False in padding.
        """
        scores, masks = self.model.panoptic_head.answer(
            self.model.extract_feat(x, sizes), self.size)
        padding = padding_mask(x, sizes)
        masks = masks.masked_fill(padding[:, None], -torch.inf)
        return scores.softmax(-1), masks, ~padding

    def sample(self, size):
        from mmdet.structures import DetDataSample
        return DetDataSample(metainfo=self.metas(size))


class Instance(_Masks):
    """The masks with the highest scores."""
    SWITCH = 'instance_on', False
    OUTPUTS: Mapping[str, str] = dict(
        masks='(N, n, H, W) bool',
        boxes='(N, n, 4) float32: x1, y1, x2, y2 around each mask, in pixels',
        scores='(N, n) float32: 0 to 1, the highest first',
        labels='(N, n) int64: index of the class')
    MAPS = 'masks',

    def decide(self, x: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        scores, masks, _ = self.answer(x, sizes)
        classes = self.head.num_classes
        count = self.head.test_cfg.get('max_per_image', 100)
        scores, index = scores[..., :-1].flatten(1).topk(count)
        labels, query = index % classes, index // classes
        queries = masks.shape[1]
        picture = torch.arange(masks.shape[0], device=masks.device)[:, None]
        chosen = masks.flatten(0, 1).index_select(
            0, (query + queries * picture).flatten())
        inside = chosen > 0
        area = inside.flatten(1).sum(1)
        sure = (chosen.sigmoid() * inside).flatten(1).sum(1) / (area + 1e-6)
        things = labels < self.head.num_things_classes
        scores = scores * sure.unflatten(0, (-1, count)) * things
        scores, order = scores.sort(1, descending=True)
        inside = inside.index_select(0, (order + count * picture).flatten())
        inside = inside.unflatten(0, (-1, count))
        return inside, _tight_boxes(inside), scores, labels.gather(1, order)

    def read(self, sample) -> Answers:
        found = sample.pred_instances.numpy()
        return dict(
            masks=found.masks,
            boxes=found.bboxes,
            scores=found.scores,
            labels=found.labels)

    def compare(self, host: Answers, ours: Answers) -> dict[str, float]:
        things = ours['labels'] < self.head.num_things_classes
        ours = {name: value[things] for name, value in ours.items()}
        labels, rows, columns = pair(host, ours, max(self.size))
        masks = host['masks'][rows], ours['masks'][columns]
        own = _tight_boxes(torch.from_numpy(ours['masks'])[None])[0].numpy()
        return dict(
            labels=labels,
            scores=largest(host['scores'][rows], ours['scores'][columns]),
            masks=unequal(*masks),
            # Compare with boxes of the graph's own masks, whose edges may tie.
            boxes=largest(own, ours['boxes'], max(self.size)))


class Panoptic(_Masks):
    """A map of segments."""
    SWITCH = 'panoptic_on', True
    OUTPUTS: Mapping[str, str] = dict(
        segments='(N, H, W) int64: class + 1000 · number of the object, from '
        '1 in each picture, 0 for stuff; K, the number of classes, '
        'for empty pixels')
    MAPS = 'segments',

    def decide(self, x: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        from mmdet.evaluation import INSTANCE_OFFSET
        nothing, config = self.head.num_classes, self.head.test_cfg
        probabilities, masks, inside = self.answer(x, sizes)
        scores, classes = probabilities.max(-1)
        masks = masks.sigmoid()
        keep = (classes != nothing) & (
            scores > config.get('object_mask_thr', .8))
        # Dropped segments win no pixel, unless all are dropped.
        shares = torch.where(keep[..., None, None],
                             scores[..., None, None] * masks, -1.)
        winner = shares.argmax(1).flatten(1)
        pixels = inside.flatten(1).float()
        won = torch.zeros_like(scores).scatter_add(1, winner, pixels)
        area = (masks >= .5).flatten(2).sum(-1)
        share = won.double() / area.clamp(min=1).double()
        keep = keep & (won > 0) & (area > 0) & (
            share >= config.get('iou_thr', .8))
        things = keep & (classes < self.head.num_things_classes)
        numbers = things.long().cumsum(1) * things
        codes = torch.where(keep, classes + INSTANCE_OFFSET * numbers, nothing)
        segments = codes.gather(1, winner)
        if config.get('filter_low_score', False):
            sure = masks.flatten(2).gather(1, winner[:, None])[:, 0] >= .5
            segments = torch.where(sure, segments, nothing)
        segments = segments.unflatten(1, self.size)
        return torch.where(inside, segments, nothing),

    def read(self, sample) -> Answers:
        return dict(segments=sample.pred_panoptic_seg.sem_seg[0].numpy())

    def compare(self, host: Answers, ours: Answers) -> dict[str, float]:
        return dict(segments=unequal(host['segments'], ours['segments']))

    def facts(self) -> dict:
        return dict(super().facts(), num_things=self.head.num_things_classes)


def _tight_boxes(masks: Tensor) -> Tensor:
    """Boxes around masks ``(N, n, H, W)``: ``(N, n, 4)``, zero if empty."""
    ends = []
    for axis in (2, 3):
        line = masks.any(axis).int()
        length = line.shape[-1]
        first = line.argmax(-1)
        ends.append((first, length - line.flip(-1).argmax(-1)))
    (left, right), (top, bottom) = ends
    boxes = torch.stack([left, top, right, bottom], -1)
    return (boxes * masks.flatten(2).any(-1)[..., None]).float()
