"""Perfect keypoints score 1."""
import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.evaluation import CocoMetric

from .build import boxes_file, dataset


def metric(root):
    metric = CocoMetric(
        ann_file=str(root / 'annotations' / 'person_keypoints_val.json'))
    metric.dataset_meta = dataset(root, 'val').metainfo
    return metric


@pytest.mark.parametrize('boxes', ['annotated', 'detected'])
def test_ap_of_a_perfect_prediction_is_1(data_root, tmp_path, boxes):
    data = dataset(data_root, 'val', test_mode=True)
    truth = {}
    for index in range(len(data)):
        info = data.get_data_info(index)
        truth[info['img_id'], *info['bbox'][0]] = info['keypoints']
    if boxes == 'detected':
        data = dataset(
            data_root,
            'val',
            test_mode=True,
            bbox_file=str(boxes_file(data_root, tmp_path / 'boxes.json')))
        # The box of another category is skipped.
        assert len(data) == len(truth)

    def ap(error):
        evaluator = metric(data_root)
        for index in range(len(data)):
            sample = data[index]['data_samples']
            found = sample.gt_instances.bboxes[0]
            keypoints = next(
                value for (image, *box), value in truth.items() if
                image == sample.img_id and np.allclose(box, found, atol=1.01))
            sample.pred_instances = InstanceData(
                keypoints=keypoints + error,
                keypoint_scores=np.ones(keypoints.shape[:2]),
                bboxes=sample.gt_instances.bboxes,
                bbox_scores=sample.gt_instances.bbox_scores)
            evaluator.process({}, [sample.to_dict()])
        return evaluator.evaluate(len(data))['coco/AP']

    assert ap(0) == pytest.approx(1)
    assert ap(4) < .5
