"""Predictions equal those of OpenMMLab's own inferencers."""
import copy

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, init_default_scope
from PIL import Image

import glid_mm
from glid_mm.datasets.decode import ImageError
from glid_mm.errors import UserError
from ..test_tasks.mixtures import CONFIGS, TASKS
from .conftest import equal


@pytest.fixture(scope='module')
def load(runs):
    """A function that loads the predictor of each task once."""
    loaded = {}

    def load(task):
        if task not in loaded:
            loaded[task] = glid_mm.load(runs / task, 'cpu')
        return loaded[task]

    return load


@pytest.mark.parametrize('task', TASKS)
def test_predictors_know_what_they_are(load, runs, task):
    predictor = load(task)
    assert (predictor.task, predictor.tasks) == (task, {task: task})
    assert predictor.path == runs / task / 'iter_1.pth'
    assert not predictor.model.training
    assert str(predictor.device) == 'cpu'
    assert predictor.config.model.type == Config.fromfile(
        CONFIGS / TASKS[task]).model.type
    assert predictor.classes == dict(
        detection=('box', 'ball', 'cone', 'person'),
        instance=('box', 'ball', 'cone', 'person'),
        depth=(),
        pose=('person', )).get(
            task, ('box', 'ball', 'cone', 'person', 'sky', 'wall', 'ground'))
    assert '\n' not in repr(predictor) and task in repr(predictor)


def theirs(predictor, path):
    """Result of the host's inferencer with the same config and weights."""
    from mmdet.apis import DetInferencer
    from mmpose.apis import Pose2DInferencer
    from mmseg.apis import MMSegInferencer
    kind = dict(
        detection=DetInferencer,
        pose=Pose2DInferencer).get(predictor.task, MMSegInferencer)
    inferencer = kind(
        copy.deepcopy(predictor.config), str(predictor.path), device='cpu')
    inferencer.show_progress = False
    return inferencer(str(path), return_datasamples=True)


def test_boxes_are_those_of_mmdets_inferencer(load, pictures):
    found = load('detection').predict(pictures[0], threshold=0)
    wanted, = theirs(load('detection'), pictures[0])['predictions']
    wanted = wanted.pred_instances.numpy()
    assert len(found.boxes) == len(wanted.bboxes) > 10
    assert np.array_equal(found.boxes, wanted.bboxes)
    assert np.array_equal(found.scores, wanted.scores)
    assert np.array_equal(found.labels, wanted.labels)
    assert found.names[0] == load('detection').classes[found.labels[0]]
    middle = float(np.median(found.scores))
    fewer = load('detection').predict(pictures[0], threshold=middle)
    assert 0 < len(fewer.boxes) < len(found.boxes)
    assert (fewer.scores > middle).all()


@pytest.mark.parametrize('task', ['semantic', 'depth'])
def test_maps_are_those_of_mmsegs_inferencer(load, pictures, task):
    found = load(task).predict(pictures[0])
    wanted = theirs(load(task), pictures[0])
    if task == 'semantic':
        wanted = wanted.pred_sem_seg.data[0].numpy()
        assert len(np.unique(wanted)) > 1
    else:
        wanted = wanted.pred_depth_map.data[0].numpy()
        assert found.depth.dtype == np.float32 and np.ptp(wanted) > 0
    assert np.array_equal(getattr(found, task), wanted)
    assert wanted.shape == found.size == (64, 64)


def test_whole_pictures_are_persons_as_for_mmposes_inferencer(load, pictures):
    found = load('pose').predict(pictures[0])
    wanted, = next(theirs(load('pose'), pictures[0]))['predictions']
    wanted = wanted.pred_instances
    assert found.keypoints.shape == (1, 17, 2)
    assert np.allclose(found.keypoints, wanted.keypoints)
    assert np.allclose(found.keypoint_scores, wanted.keypoint_scores)
    assert found.boxes.tolist() == [[0, 0, 64, 64]]


@pytest.mark.parametrize('task', ['instance', 'panoptic'])
def test_masks_are_those_of_the_test_step(load, scenes, runs, task):
    config = Config.fromfile(CONFIGS / TASKS[task])
    init_default_scope('mmdet')
    settings = dict(config.test_dataloader.dataset, data_root=str(scenes))
    sample = DATASETS.build(settings)[1]
    model = MODELS.build(load(task).config.model)
    model.load_state_dict(
        torch.load(runs / task / 'iter_1.pth',
                   weights_only=False)['state_dict'])
    with torch.no_grad():
        answer, = model.eval().test_step(pseudo_collate([sample]))
    found = load(task).predict(answer.img_path, threshold=0)
    if task == 'instance':
        wanted = answer.pred_instances
        assert found.masks.dtype == bool and found.masks.any()
        assert np.array_equal(found.masks, wanted.masks.numpy())
        assert np.allclose(found.scores, wanted.scores)
        assert len(found.masks) == len(found.boxes) == len(found.names) > 10
    else:
        codes = answer.pred_panoptic_seg.sem_seg[0].numpy()
        classes = len(load(task).classes)
        assert np.array_equal(found.panoptic == 0, codes == classes)
        for segment in found.segments:
            here = codes[found.panoptic == segment['id']]
            assert len(here) == segment['area']
            assert {c % 1000 for c in here.tolist()} == {segment['label']}


@pytest.mark.parametrize('task', TASKS)
def test_batches_and_inputs_of_all_kinds_say_the_same(load, pictures, task):
    predictor = load(task)
    one, two, three = predictor.predict(list(pictures), threshold=0)
    assert [p.name for p in (one, two, three)] == [p.stem for p in pictures]
    image = Image.open(pictures[1])
    for given in (str(pictures[1]), image, np.array(image)):
        assert equal(predictor.predict(given, threshold=0), two)
    assert predictor.predict(image).name == two.name
    assert not equal(
        predictor.predict(np.array(image)[..., ::-1], threshold=0), two)
    # A folder is like a list of its images; results have the file names.
    folder = predictor.predict(pictures[0].parent, threshold=0, batch_size=2)
    assert [p.name for p in folder] == [p.stem for p in pictures]
    for a, b in zip(folder, (one, two, three)):
        if task in ('instance', 'detection', 'pose', 'depth'):
            # Numbers differ slightly because sums run in another order.
            fields = ('boxes', 'depth', 'keypoints')
            for x, y in ((getattr(p, f) for p in (a, b)) for f in fields):
                assert x is None or np.abs(x - y).max() < 1e-2
        else:
            assert np.mean(getattr(a, task) != getattr(b, task)) < .01


def test_pictures_of_unlike_sizes_go_in_one_batch(load, pictures):
    image = np.array(Image.open(pictures[0]))
    sizes = [image, image[:40], image[:, :50]]
    for task in ('semantic', 'detection', 'depth'):
        found = load(task).predict(sizes, batch_size=3)
        assert [p.size for p in found] == [(64, 64), (40, 64), (64, 50)]
        assert [p.name for p in found] == [f'picture-{i}' for i in range(3)]
        for prediction in found:
            assert prediction.plot().height >= prediction.size[0]


def test_pictures_are_read_as_the_loaders_read_them(load, pictures, tmp_path):
    upright = Image.open(pictures[0]).crop((0, 0, 64, 40))
    pixels = np.array(upright)
    files = {}
    exif = Image.Exif()
    exif[0x0112] = 6
    # The stored image lies on its side, as from a rotated camera.
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    files['turned.png'] = (turned, dict(exif=exif), upright)
    files['grey.png'] = (upright.convert('L'), {},
                         upright.convert('L').convert('RGB'))
    alpha = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    alpha[:8, :8, 3] = 0
    shown = pixels.copy()
    shown[:8, :8] = 124, 117, 104
    files['alpha.png'] = (Image.fromarray(alpha), {}, Image.fromarray(shown))
    deep = np.array(upright.convert('L')).astype(np.uint16) * 257
    files['deep.png'] = (Image.fromarray(deep), {},
                         upright.convert('L').convert('RGB'))
    predictor = load('depth')
    for name, (image, options, seen) in files.items():
        image.save(tmp_path / name, **options)
        wanted = predictor.predict(seen)
        for given in (tmp_path / name, Image.open(tmp_path / name)):
            assert equal(predictor.predict(given), wanted), name
    for array, seen in ((np.array(files['grey.png'][0]), 'grey.png'),
                        (alpha, 'alpha.png')):
        assert equal(
            predictor.predict(array), predictor.predict(files[seen][2]))


def test_a_detector_finds_the_persons(load, pictures):
    pose, detector = load('pose'), load('detection')
    persons = detector.predict(pictures[0], threshold=.4)
    kept = pose.predict(pictures[0], threshold=.4, detector=detector)
    assert 0 < len(kept.boxes) <= persons.names.count('person')
    wanted = {tuple(b) for b in persons.boxes.tolist()}
    assert {tuple(b) for b in kept.boxes.tolist()} <= wanted
    assert kept.keypoints.shape == (len(kept.boxes), 17, 2)
    nobody = pose.predict(pictures[0], threshold=.9999, detector=detector)
    assert nobody.keypoints.shape == (0, 17, 2) and nobody.to_coco() == []
    assert nobody.plot().size == (64, 64)
    # A detector applies only to the call that names it.
    assert pose.predict(pictures[0]).boxes.tolist() == [[0, 0, 64, 64]]
    for wrong, message in (
        (dict(detector=pose), 'is for pose. The detector must'),
        (dict(detector=detector, detector_class='dog'),
         "no class 'dog'. Set detector_class to one of box, ball")):
        with pytest.raises(UserError, match=message):
            pose.predict(pictures[0], **wrong)
    with pytest.raises(UserError, match='only pose models use a detector'):
        detector.predict(pictures[0], detector=detector)


@pytest.mark.parametrize('given,message', [
    ('nowhere.jpg', 'no image nowhere.jpg'),
    ('https://a.org/b.jpg', 'is a URL.*Save the picture'),
    (np.zeros((4, 4, 3)), r'shape \(4, 4, 3\) and type float64'),
    (np.zeros((2, 4, 4, 3), np.uint8), r'several pictures.*list\(array\)'),
    (np.zeros((4, 4, 2), np.uint8), r'shape \(4, 4, 2\)'),
    (torch.zeros(3, 4, 4), r'use a Tensor as.*permute\(1, 2, 0\)'),
    (None, 'use a NoneType as a picture'),
])
def test_what_is_no_picture_is_named(load, given, message):
    for pictures in (given, [given]):
        with pytest.raises(UserError, match=message):
            load('depth').predict(pictures)


def test_files_that_cannot_be_read_are_named(load, pictures, tmp_path):
    torn = tmp_path / 'torn.jpg'
    torn.write_bytes(pictures[0].read_bytes()[:700])
    for given in torn, Image.open(torn):
        with pytest.raises(ImageError, match='torn'):
            load('depth').predict(given)
    with pytest.raises(ImageError, match='300×4 pixels are too few'):
        load('depth').predict(np.zeros((4, 300, 3), np.uint8))
    narrow, = load('depth').predict([np.zeros((300, 8, 3), np.uint8)])
    assert narrow.depth.shape == (300, 8) and narrow.plot()
    with pytest.raises(UserError, match='no images in the folder'):
        (tmp_path / 'empty').mkdir()
        load('depth').predict(tmp_path / 'empty')
    with pytest.raises(UserError, match='batch_size must be 1 or more, not 0'):
        load('depth').predict(pictures[0], batch_size=0)
    assert load('depth').predict([]) == []


def test_a_stream_holds_one_batch_of_pictures(load, pictures, monkeypatch):
    from glid_mm.prediction import pictures as room
    read = []
    load_image = room.load_image
    monkeypatch.setattr(room, 'load_image',
                        lambda path: read.append(path) or load_image(path))
    stream = load('depth').stream(list(pictures), batch_size=2)
    assert next(stream).name == pictures[0].stem and len(read) == 2
    next(stream)
    assert len(read) == 2
    next(stream)
    assert len(read) == 3 and not list(stream)


def test_drawings_are_those_of_the_host(load, pictures):
    from mmdet.apis import DetInferencer
    predictor = load('detection')
    threshold = float(
        np.sort(predictor.predict(pictures[0], threshold=0).scores)[-3])
    drawn = predictor.predict(pictures[0], threshold=threshold).plot()
    host = DetInferencer(
        copy.deepcopy(predictor.config),
        str(predictor.path),
        device='cpu',
        show_progress=False)
    # BGR as OpenMMLab reads it, but with our pixels.
    image = cv2.cvtColor(np.array(Image.open(pictures[0])), cv2.COLOR_RGB2BGR)
    wanted, = host([image], return_vis=True,
                   pred_score_thr=threshold)['visualization']
    assert not np.array_equal(drawn, np.array(Image.open(pictures[0])))
    # Upstream draws arrays without swapping channels, so compare places.
    differ = (np.array(drawn) != np.array(Image.open(pictures[0]))).any(2)
    assert np.array_equal(differ, (wanted != image).any(2))
