"""Panoptic quality equals COCO's."""
import itertools
import json

import cv2
import numpy as np
import pytest
import torch
from mmdet.evaluation import INSTANCE_OFFSET
from mmengine.registry import METRICS

from glid_mm.tasks.panoptic.loading import segment_ids
from glid_mm.tasks.panoptic.quality import count_segments, qualities
from .build import build, config_of


def slow_counts(guess, truth, num_classes):
    """COCO's evaluation from its definition, segment by segment."""

    def segments(codes):
        found = {}
        for place in itertools.product(*map(range, codes.shape)):
            found.setdefault(int(codes[place]), set()).add(place)
        return found

    own, real = segments(guess), segments(truth)
    void = real.pop(num_classes, set())
    own.pop(num_classes, None)
    counts = np.zeros((4, num_classes))
    matched = set()
    crowds = {c: p for c, p in real.items() if c < 0}
    for code, pixels in real.items():
        if code < 0:
            continue
        label, found = code % INSTANCE_OFFSET, False
        for other, guessed in own.items():
            iou = len(pixels & guessed) / len((pixels | guessed) -
                                              (guessed & void))
            if other % INSTANCE_OFFSET == label and iou > .5:
                counts[:2, label] += iou, 1
                matched.add(other)
                found = True
        counts[3, label] += not found
    for code, pixels in own.items():
        label = code % INSTANCE_OFFSET
        ignored = len(pixels & void) + sum(
            len(pixels & crowd)
            for c, crowd in crowds.items() if c % INSTANCE_OFFSET == label)
        if code not in matched and ignored / len(pixels) <= .5:
            counts[2, label] += 1
    return counts


def test_random_maps_have_the_quality_of_the_definition():
    rng = np.random.default_rng(0)
    seen = np.zeros(4)
    for _ in range(60):
        # Blocks of three classes, objects 0 to 2, void, crowds and errors.
        codes = rng.integers(0, 3, 6) + INSTANCE_OFFSET * rng.integers(0, 3, 6)
        codes[rng.random(6) < .2] = 3
        truth = codes[rng.integers(0, 6, (4, 4))].repeat(3, 0).repeat(3, 1)
        guess = np.where(
            rng.random(truth.shape) < .3, codes[rng.integers(0, 6)], truth)
        for label in range(3):
            if rng.random() < .4:
                truth[truth == label] -= INSTANCE_OFFSET
        counts = count_segments(guess, truth, 3)
        assert np.allclose(counts, slow_counts(guess, truth, 3))
        seen += counts.sum(1)
    assert (seen > 10).all()


def test_qualities_are_those_of_torchmetrics():
    """Compare maps without void and crowds, for which the rules agree."""
    from torchmetrics.detection import PanopticQuality
    rng = np.random.default_rng(1)
    metric = PanopticQuality(
        things={0, 1},
        stuffs={2},
        return_sq_and_rq=True,
        return_per_class=True)
    counts = 0
    for _ in range(10):
        codes = np.array([0, 1000, 1, 1001, 2001, 2])
        truth = codes[rng.integers(0, 6, (4, 4))].repeat(4, 0).repeat(4, 1)
        guess = np.where(rng.random(truth.shape) < .4, 1001, truth)
        counts = counts + count_segments(guess, truth, 3)
        metric.update(*(torch.from_numpy(
            np.stack([x % INSTANCE_OFFSET, x // INSTANCE_OFFSET], -1))[None]
                        for x in (guess, truth)))
    found = np.stack(list(qualities(counts).values()), -1)
    assert 0 < found.min() < found.max() < 1
    assert np.allclose(found, metric.compute())


THING, OTHER, STUFF, VOID = INSTANCE_OFFSET, 1 + INSTANCE_OFFSET, 2, 3


@pytest.mark.parametrize(
    'truth,guess,counts',
    [
        # A perfect match.
        ([THING, THING, STUFF], [THING, THING, STUFF], [[1, 0, 1], [1, 0, 1],
                                                        [0] * 3, [0] * 3]),
        # A wrong class.
        ([THING, THING], [OTHER, OTHER], [[0] * 3, [0] * 3, [0, 1, 0],
                                          [1, 0, 0]]),
        # An IoU of exactly a half is not a match.
        ([THING, THING, STUFF], [THING, STUFF, STUFF], [[0] * 3, [0] * 3,
                                                        [1, 0, 1], [1, 0, 1]]),
        # Void pixels do not count in the union.
        ([THING, VOID, VOID], [THING, THING, THING], [[1, 0, 0], [1, 0, 0],
                                                      [0] * 3, [0] * 3]),
        # A segment that is more than half void is not a false positive,
        ([STUFF, VOID, VOID], [OTHER, OTHER, OTHER], [[0] * 3, [0] * 3,
                                                      [0] * 3, [0, 0, 1]]),
        # but a segment that is exactly half void is.
        ([STUFF, VOID], [OTHER, OTHER], [[0] * 3, [0] * 3, [0, 1, 0],
                                         [0, 0, 1]]),
        # The same holds for a crowd of its class, which nobody can miss,
        ([STUFF, -999, -999], [OTHER] * 3, [[0] * 3, [0] * 3, [0] * 3,
                                            [0, 0, 1]]),
        # but not for a crowd of another class. A crowd is never a match.
        ([STUFF, -1000, -1000], [OTHER] * 3, [[0] * 3, [0] * 3, [0, 1, 0],
                                              [0, 0, 1]]),
        ([-999, -999], [OTHER, VOID], [[0] * 3, [0] * 3, [0] * 3, [0] * 3]),
        # Nothing is predicted.
        ([STUFF, STUFF], [VOID, VOID], [[0] * 3, [0] * 3, [0] * 3, [0, 0, 1]]),
        ([VOID, VOID], [VOID, VOID], [[0] * 3] * 4),
    ])
def test_segments_are_counted_by_the_rules_of_coco(truth, guess, counts):
    found = count_segments(np.array([guess]), np.array([truth]), 3)
    assert found.tolist() == counts


def test_a_class_that_never_occurs_has_no_quality():
    # By class: two matches, one false positive, one miss; only a miss; only a
    # false positive; nothing.
    counts = np.array([[1.6, 0, 0, 0], [2, 0, 0, 0], [1, 0, 1, 0],
                       [1, 1, 0, 0]])
    found = qualities(counts)
    assert np.allclose(found['PQ'][:3], [1.6 / 3, 0, 0])
    assert np.allclose(found['SQ'][:3], [.8, 0, 0])
    assert np.allclose(found['RQ'][:3], [2 / 3, 0, 0])
    assert all(np.isnan(values[3]) for values in found.values())


def test_ground_truth_against_itself_is_perfect(data_root, tmp_path):
    config = config_of('panoptic', data_root)
    _, dataset = build(config)
    metric = METRICS.build(
        dict(
            type='glid_mm.PanopticMetric',
            outfile_prefix=str(tmp_path / 'out')))
    metric.dataset_meta = dataset.metainfo
    for i in range(8):
        sample = dataset[i]['data_samples']
        sample.pred_panoptic_seg = sample.gt_panoptic_seg
        metric.process({}, [sample.to_dict()])
    metrics = metric.evaluate(8)
    for end in ('', '_th', '_st'):
        assert metrics[f'coco_panoptic/PQ{end}'] == 100
    # The written file holds what was read.
    written = json.loads((tmp_path / 'out.panoptic.json').read_text())
    given = json.loads(
        (data_root / 'annotations/panoptic_train.json').read_text())
    for row, expected in zip(written['annotations'], given['annotations']):
        assert row['image_id'] == expected['image_id']
        ours, theirs = (
            segment_ids(cv2.imread(str(folder / row['file_name']))[..., ::-1])
            for folder in (tmp_path / 'out.panoptic',
                           data_root / 'panoptic_train'))
        pairs = np.unique(np.stack([ours.ravel(), theirs.ravel()]), axis=1).T
        category = [{
            s['id']: s['category_id']
            for s in one['segments_info']
        } for one in (row, expected)]
        assert len(pairs) == len(category[0]) == len(category[1])
        for own, real in pairs.tolist():
            assert category[0][own] == category[1][real]
