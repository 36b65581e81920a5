"""The graph for detection."""
from collections.abc import Mapping

import torch
from torch import Tensor

from .agreement import largest, pair
from .graph import Answers, Graph


class Detection(Graph):
    """The boxes with the highest scores, as ``BoxHead`` gives them."""
    OUTPUTS: Mapping[str, str] = dict(
        boxes='(N, n, 4) float32: x1, y1, x2, y2 in pixels of the input',
        scores='(N, n) float32: 0 to 1, the highest first',
        labels='(N, n) int64: index of the class')

    @staticmethod
    def host_class() -> type:
        from ..tasks.detection import GLIDDetector
        return GLIDDetector

    def decide(self, x: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        head = self.model.bbox_head
        queries = self.model.extract_feat(x, sizes).query_features[-1:]
        (scores, ), (boxes, ) = head(queries)
        count = head.test_cfg.get('max_per_img', boxes.shape[1])
        scores, index = scores.sigmoid().flatten(1).topk(count)
        labels = index % head.num_classes
        query = (index // head.num_classes)[..., None].expand(-1, -1, 4)
        centre, side = boxes.gather(1, query).split(2, -1)
        size = sizes.flip(-1).repeat(1, 2)[:, None].to(boxes)
        corners = torch.cat([centre - side / 2, centre + side / 2], -1)
        return (corners * size).clamp(min=0).minimum(size), scores, labels

    def sample(self, size):
        from mmdet.structures import DetDataSample
        return DetDataSample(metainfo=self.metas(size))

    def read(self, sample) -> Answers:
        found = sample.pred_instances.numpy()
        return dict(
            boxes=found.bboxes, scores=found.scores, labels=found.labels)

    def compare(self, host: Answers, ours: Answers) -> dict[str, float]:
        side = max(self.size)
        labels, rows, columns = pair(host, ours, side)
        return dict(
            labels=labels,
            scores=largest(host['scores'][rows], ours['scores'][columns]),
            boxes=largest(host['boxes'][rows], ours['boxes'][columns], side))
