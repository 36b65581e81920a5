"""Perfect boxes score 1."""
import json

import pytest
import torch
from mmengine.registry import METRICS

import glid_mm.tasks.detection  # noqa: F401


@pytest.mark.parametrize('first', [0, 1, 7])
@pytest.mark.parametrize('subset', [4, 2])
def test_perfect_boxes_score_1_for_every_numbering_and_subset(
        first, subset, tmp_path):
    """Object ids start at any number, and some images are not evaluated."""
    boxes = [[8. * i, 4., 6., 6. + i] for i in range(5)]
    content = dict(
        images=[
            dict(id=i, file_name=f'{i}.png', height=64, width=64)
            for i in range(4)
        ],
        annotations=[
            dict(
                id=first + 5 * image + i,
                image_id=image,
                category_id=3,
                bbox=box,
                area=box[2] * box[3],
                iscrowd=0) for image in range(4) for i, box in enumerate(boxes)
        ],
        categories=[dict(id=3, name='box')])
    path = tmp_path / 'truth.json'
    path.write_text(json.dumps(content))
    metric = METRICS.build(
        dict(type='glid_mm.CocoMetric', ann_file=str(path), metric='bbox'))
    metric.dataset_meta = dict(classes=('box', ))
    corners = torch.tensor(boxes)
    corners[:, 2:] += corners[:, :2]
    for image in range(subset):
        metric.process({}, [
            dict(
                pred_instances=dict(
                    bboxes=corners,
                    scores=torch.full((5, ), .9),
                    labels=torch.zeros(5, dtype=torch.int64)),
                img_id=image,
                ori_shape=(64, 64))
        ])
    assert metric.evaluate(subset)['coco/bbox_mAP'] == 1
