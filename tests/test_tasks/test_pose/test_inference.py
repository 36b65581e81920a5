"""Pose inference, from images to skeletons."""
import json
import re
import runpy
import sys

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmpose.apis import MMPoseInferencer, Pose2DInferencer

from glid_mm.errors import UserError
from glid_mm.tasks.pose import PoseInferencer
from .build import ROOT, SCENES, dataset

DETECTOR = (
    ROOT / 'configs' / 'detection' / 'glid_nano_1xb16-7k_scenes-128x128.py')


@pytest.fixture(scope='module')
def weights(data_root, tmp_path_factory):
    """Configs and untrained weights of a pose model and of a detector."""
    root = tmp_path_factory.mktemp('weights')
    paths = []
    for name, path in (('pose', SCENES), ('detector', DETECTOR)):
        config = Config.fromfile(path)
        if name == 'detector':
            config.model.test_cfg.max_per_img = 5
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope(config.default_scope):
            model = MODELS.build(config.model)
        if name == 'detector':
            # Make the detector find persons everywhere.
            model.bbox_head.fc_cls.bias.data[3] += 3
        meta = dataset(data_root).metainfo if name == 'pose' else dict(
            classes=config.metainfo.classes)
        torch.save(
            dict(state_dict=model.state_dict(), meta=dict(dataset_meta=meta)),
            root / f'{name}.pth')
        config.dump(root / f'{name}.py')
        paths += [str(root / f'{name}.py'), str(root / f'{name}.pth')]
    return paths


def test_inferencer_finds_persons_then_their_joints(data_root, weights,
                                                    tmp_path):
    inferencer = PoseInferencer(*weights, device='cpu')
    image = str(data_root / 'images' / 'val' / '000000.jpg')
    result, = inferencer(image, bbox_thr=0., nms_thr=1., out_dir=str(tmp_path))
    persons, = result['predictions']
    boxes = inferencer.detector(image)['predictions'][0]
    boxes = [
        box for box, label in zip(boxes['bboxes'], boxes['labels'])
        if label == 3
    ]
    assert len(persons) == len(boxes) > 1
    assert {len(p['keypoints']) for p in persons} == {17}
    assert sorted(p['bbox'][0] for p in persons) == [
        pytest.approx(box) for box in sorted(boxes)
    ]
    assert (tmp_path / 'visualizations' / '000000.jpg').exists()
    # Finding no person is not an error, and gives no skeleton.
    result, = inferencer(image, bbox_thr=.99, return_vis=True)
    assert result['predictions'] == [[]]
    assert np.array_equal(result['visualization'][0],
                          mmcv.imread(image, channel_order='rgb'))


def test_mmposes_own_inferencer_takes_our_detector(data_root, weights):
    image = str(data_root / 'images' / 'val' / '000000.jpg')
    pose, pose_weights, boxes, boxes_weights = weights
    theirs = MMPoseInferencer(
        pose2d=pose,
        pose2d_weights=pose_weights,
        det_model=boxes,
        det_weights=boxes_weights,
        det_cat_ids=[3],
        device='cpu')
    ours = PoseInferencer(*weights, device='cpu')
    answers = [
        next(inferencer(image, bbox_thr=0., nms_thr=1.))['predictions'][0]
        for inferencer in (theirs, ours)
    ]
    assert len(answers[1]) > 1

    # mmpose sorts by keypoint scores, we sort by box scores.
    def places(persons):
        return np.array(sorted(person['keypoints'] for person in persons))

    assert places(answers[0]) == pytest.approx(places(answers[1]), abs=1e-3)


def test_inferencers_of_mmpose_take_whole_images(data_root, weights):
    image = str(data_root / 'images' / 'val' / '000000.jpg')
    answers = []
    for kind in (Pose2DInferencer, PoseInferencer):
        inferencer = kind(*weights[:2], device='cpu')
        result, = inferencer(image)
        person, = result['predictions'][0]
        answers.append(person['keypoints'])
    assert answers[0] == answers[1]


def test_checkpoints_of_other_keypoints_are_refused(data_root, weights,
                                                    tmp_path):
    image = str(data_root / 'images' / 'val' / '000000.jpg')
    config = Config.fromfile(weights[0])
    config.model.backbone.num_queries = 5
    config.dump(tmp_path / 'five.py')
    inferencer = PoseInferencer(
        str(tmp_path / 'five.py'), weights[1], device='cpu')
    for flip_test in (True, False):
        inferencer.model.test_cfg.flip_test = flip_test
        with pytest.raises(
                UserError, match='model has 5 queries .* has 17 keypoints'):
            next(inferencer(image))


def test_images_after_a_video_are_images(data_root, weights, tmp_path):
    image = data_root / 'images' / 'val' / '000000.jpg'
    video = tmp_path / 'clip.avi'
    frame = cv2.imread(str(image))
    writer = cv2.VideoWriter(
        str(video), cv2.VideoWriter_fourcc(*'MJPG'), 5, frame.shape[1::-1])
    for _ in range(2):
        writer.write(frame)
    writer.release()
    inferencer = PoseInferencer(*weights[:2], device='cpu')
    out = tmp_path / 'out'
    assert len(list(inferencer(str(video), out_dir=str(out)))) == 2
    frames = json.loads((out / 'predictions' / 'clip.json').read_text())
    assert [len(frame['instances']) for frame in frames] == [1, 1]
    list(inferencer(image, out_dir=str(out)))
    assert (out / 'visualizations' / '000000.jpg').exists()
    assert (out / 'predictions' / '000000.json').exists()


@pytest.mark.parametrize('parts', [2, 4], ids=['boxes given', 'detector'])
def test_inputs_that_are_no_images_are_named(weights, tmp_path, parts):
    inferencer = PoseInferencer(*weights[:parts], device='cpu')
    with pytest.raises(UserError, match='no images in the folder'):
        next(inferencer(tmp_path))
    (tmp_path / 'NOTES').write_text('no picture')
    with pytest.raises(UserError, match='no images in the folder'):
        next(inferencer(str(tmp_path)))
    with pytest.raises(UserError, match='cannot read the image .*NOTES'):
        next(inferencer([tmp_path / 'NOTES']))
    with pytest.raises(UserError, match='no image .*missing.jpg'):
        next(inferencer(tmp_path / 'missing.jpg'))
    # Other files next to an image do no harm.
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((64, 48, 3), np.uint8))
    assert len(list(inferencer(tmp_path))) == 1


def test_detectors_without_the_class_are_refused(weights):
    with pytest.raises(UserError, match="no class 'dog'.*box, ball, cone, pe"):
        PoseInferencer(*weights, det_class='dog', device='cpu')


def test_one_command_from_images_to_skeletons(data_root, weights, tmp_path,
                                              monkeypatch, capsys):
    pose, pose_weights, boxes, boxes_weights = weights

    def command(*args, images=data_root / 'images' / 'val'):
        args = [str(images), *args]
        monkeypatch.setattr(sys, 'argv', ['pose_inference.py', *args])
        runpy.run_path(
            str(ROOT / 'tools' / 'pose_inference.py'), run_name='__main__')

    command(pose, pose_weights, '--det-config', boxes, '--det-checkpoint',
            boxes_weights, '--bbox-thr', '0.99', '--out', str(tmp_path))
    assert '0 skeletons in 6 images' in capsys.readouterr().out
    for folder, suffix in (('visualizations', 'jpg'), ('predictions', 'json')):
        assert len(list((tmp_path / folder).glob(f'*.{suffix}'))) == 6
    command(pose, pose_weights, '--det-config', boxes, '--det-checkpoint',
            boxes_weights, '--bbox-thr', '0', '--out', str(tmp_path))
    said = re.search(r'(\d+) skeletons in 6 images', capsys.readouterr().out)
    count = int(said[1])
    assert count >= 6
    assert count == sum(
        len(json.loads(path.read_text()))
        for path in (tmp_path / 'predictions').iterdir())
    with pytest.raises(SystemExit, match='there is no checkpoint missing.pth'):
        command(pose, 'missing.pth')
    for name in ('a.png', 'a.jpg'):
        cv2.imwrite(str(tmp_path / name), np.zeros((64, 48, 3), np.uint8))
    with pytest.raises(SystemExit, match='2 images are called a'):
        command(pose, pose_weights, images=tmp_path)
