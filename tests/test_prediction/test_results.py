"""Exporting results: tensors, files and COCO."""
import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import glid_mm
from glid_mm.errors import UserError
from ..test_tasks.mixtures import TASKS


@pytest.fixture(scope='module')
def found(runs, pictures):
    """Predictions of one image by task."""
    return {
        task: glid_mm.load(runs / task,
                           'cpu').predict(pictures[0], threshold=0)
        for task in TASKS
    }


GIVEN = dict(
    semantic={'semantic'},
    instance={'boxes', 'scores', 'labels', 'names', 'masks'},
    panoptic={'panoptic', 'segments'},
    detection={'boxes', 'scores', 'labels', 'names'},
    depth={'depth'},
    pose={'boxes', 'scores', 'keypoints', 'keypoint_scores'})


@pytest.mark.parametrize('task', TASKS)
def test_a_task_gives_its_own_and_none_else(found, task):
    results = {
        name
        for names in GIVEN.values()
        for name in names if getattr(found[task], name) is not None
    }
    assert results == GIVEN[task]
    tensors = found[task].to_torch()
    for name in GIVEN[task] - {'names', 'segments'}:
        array, tensor = getattr(found[task], name), getattr(tensors, name)
        assert isinstance(tensor, torch.Tensor)
        assert np.array_equal(tensor.numpy(), array)
    text = repr(found[task])
    assert '\n' not in text and "'000000'" in text and '64×64' in text
    assert found[task].plot().mode == 'RGB'


@pytest.mark.parametrize('task', TASKS)
def test_files_hold_what_was_predicted(found, task, tmp_path):
    prediction = found[task]
    # Predictions as tensors are written the same way.
    written = prediction.to_torch().save(tmp_path / 'out')
    map_of = {'semantic', 'panoptic', 'depth'} & {task}
    assert {p.relative_to(tmp_path / 'out').as_posix()
            for p in written} == {
                'vis/000000.png', 'pred/000000.json',
                *(['pred/000000.png'] if map_of else [])
            }
    drawn = np.array(Image.open(tmp_path / 'out/vis/000000.png'))
    assert np.array_equal(drawn, np.array(prediction.plot()))
    facts = json.loads((tmp_path / 'out/pred/000000.json').read_text())
    assert facts['task'] == task and facts['name'] == '000000'
    assert (facts['height'], facts['width']) == prediction.size
    for name in GIVEN[task] & {
            'boxes', 'scores', 'labels', 'keypoints', 'keypoint_scores'
    }:
        assert np.allclose(facts[name], getattr(prediction, name))
    if task == 'instance':
        for mask, coded in zip(prediction.masks, facts['masks']):
            assert np.array_equal(rle.decode(coded), mask)
    if map_of:
        stored = cv2.imread(
            str(tmp_path / 'out/pred/000000.png'), cv2.IMREAD_UNCHANGED)
    if task == 'semantic':
        assert np.array_equal(stored, prediction.semantic)
    elif task == 'depth':
        metres = stored / facts['png_scale']
        assert np.abs(metres - prediction.depth).max() < 1e-3
    elif task == 'panoptic':
        ids = stored[..., ::-1].astype(int) @ [1, 256, 65536]
        assert np.array_equal(ids, prediction.panoptic)
        assert {s['id'] for s in facts['segments']} == {*np.unique(ids)} - {0}


@pytest.mark.parametrize('task,kind', [('detection', 'bbox'),
                                       ('instance', 'segm')])
def test_cocos_evaluation_finds_itself_all_right(found, task, kind):
    results = found[task].to_coco(image_id=7, category_ids=[11, 12, 13, 14])
    # Masks of random weights may be empty or duplicates.
    results = [r for r in results if r['bbox'][2] * r['bbox'][3] > 1][:20]
    if kind == 'segm':
        different = {r['segmentation']['counts']: r for r in results}
        results = [r for r in different.values()
                   if rle.area(r['segmentation'])]  # yapf: disable
    assert len(results) > 2
    truth = COCO()
    truth.dataset = dict(
        info={},
        images=[dict(id=7, height=64, width=64)],
        categories=[dict(id=i, name=str(i)) for i in range(11, 15)],
        annotations=[
            dict({
                k: v
                for k, v in r.items() if k != 'score'
            },
                 id=i + 1,
                 iscrowd=0,
                 area=r['bbox'][2] * r['bbox'][3])
            for i, r in enumerate(results)
        ])
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(results), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_poses_and_maps_as_coco_has_them(found):
    pose, = found['pose'].to_coco(image_id=7)
    points = np.array(pose['keypoints']).reshape(17, 3)
    assert np.allclose(points[:, :2], found['pose'].keypoints[0])
    assert np.allclose(points[:, 2], found['pose'].keypoint_scores[0])
    assert pose['category_id'] == 1
    scores = points[:, 2]
    assert pose['score'] == pytest.approx(scores[
        scores > .2].mean() if scores.max() > .2 else 0)
    for result in found['semantic'].to_coco():
        mask = rle.decode(result['segmentation']).astype(bool)
        label = result['category_id'] - 1
        assert np.array_equal(mask, found['semantic'].semantic == label)
        assert result['image_id'] == '000000'
    one, = found['panoptic'].to_coco(image_id=7)
    assert [
        (s['id'], s['category_id'], s['area']) for s in one['segments_info']
    ] == [(s['id'], s['label'] + 1, s['area'])
          for s in found['panoptic'].segments]
    with pytest.raises(UserError, match='no format for depth'):
        found['depth'].to_coco()


def test_results_keep_the_names_of_their_pictures(runs, pictures, tmp_path):
    folder = tmp_path / 'my pictures'
    for name in ('a.jpg', 'a.png', 'below/a.jpg'):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.open(pictures[0]).save(folder / name)
    predictor = glid_mm.load(runs / 'depth', 'cpu')
    names = []
    for prediction in predictor.stream(folder):
        names.append(prediction.name)
        prediction.save(tmp_path / 'out')
    assert names == ['a', 'a-1', 'below/a']
    assert len(list((tmp_path / 'out' / 'vis').rglob('*.png'))) == 3
    assert (tmp_path / 'out' / 'pred' / 'below' / 'a.json').exists()
    # The input folder is unchanged.
    assert len(list(folder.rglob('*.*'))) == 3
    gone = predictor.predict(folder / 'a.png')
    (folder / 'a.png').unlink()
    with pytest.raises(UserError, match='a.png'):
        gone.plot()
