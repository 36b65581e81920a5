import json
import re
import runpy
import sys
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS, RUNNERS, DefaultScope
from mmengine.runner import load_state_dict
from mmengine.structures import InstanceData, PixelData
from mmpose.apis import MMPoseInferencer, Pose2DInferencer
from mmpose.codecs import MSRAHeatmap, UDPHeatmap
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.evaluation import CocoMetric
from mmpose.evaluation.functional import pose_pck_accuracy
from mmpose.models import losses as mmpose_losses
from mmpose.structures import PoseDataSample
from mmpose.structures.keypoint import flip_keypoints

from glid_mm.errors import UserError
from glid_mm.models import GLIDOutput
from glid_mm.scenes import write_scenes
from glid_mm.scenes.classes import KEYPOINTS, SKELETON
from glid_mm.tasks.pose import (CocoPoseDataset, PoseInferencer,
                                QueryHeatmapHead, SoftWeightSmoothL1Loss)
from glid_mm.tasks.pose.accuracy import heatmap_accuracy
from glid_mm.tasks.pose.heatmap_head import SCALE
from ..nano import pose_estimator, pretrainer, short_run

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs' / 'pose'
SCENES = CONFIGS / 'glid_nano_1xb16-16k_scenes-128x96.py'
DETECTOR = (
    ROOT / 'configs' / 'detection' / 'glid_nano_1xb16-7k_scenes-128x128.py')
CODEC = dict(input_size=(64, 64), heatmap_size=(16, 16), sigma=1.)
PIPELINE = [
    dict(type='mmpose.LoadImage'),
    dict(type='mmpose.GetBBoxCenterScale'),
    dict(type='mmpose.TopdownAffine', input_size=(64, 64), use_udp=True),
    dict(
        type='mmpose.GenerateTarget',
        encoder=dict(type='mmpose.UDPHeatmap', **CODEC)),
    dict(type='mmpose.PackPoseInputs'),
]


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'scenes'
    write_scenes(root, train=20, val=6, unlabelled=0, size=64, seed=0)
    return root


def dataset(root, split='train', pipeline=PIPELINE, **kwargs):
    kwargs.setdefault('ann_file', f'annotations/person_keypoints_{split}.json')
    return CocoPoseDataset(
        data_root=str(root),
        data_prefix=dict(img=f'images/{split}'),
        pipeline=pipeline,
        **kwargs)


def batch(model, samples, training=True):
    return model.data_preprocessor(pseudo_collate(samples), training)


def crops(root, count=8):
    """Crops of the persons that show most."""
    data = dataset(root)
    show = [(data.get_data_info(i)['num_keypoints'],
             float(data.get_data_info(i)['area']), i)
            for i in range(len(data))]
    return [data[i] for *_, i in sorted(show)[-count:]]


def worst_joint(model, data):
    """Largest error of a visible joint, in pixels of heatmaps."""
    with torch.no_grad():
        samples = model.eval()(**data, mode='predict')
    model.train()
    worst = 0
    for sample in samples:
        truth, guess = sample.gt_instances, sample.pred_instances
        distance = (guess.keypoints - truth.keypoints) / sample.input_scale
        distance = np.linalg.norm(distance * CODEC['heatmap_size'], axis=-1)
        visible = np.array(sample.raw_ann_info['keypoints'][2::3]) == 2
        worst = max(worst, distance[0, visible].max())
    return worst


@pytest.mark.slow
def test_eight_crops_are_over_fitted(data_root):
    torch.manual_seed(0)
    model = pose_estimator()
    model.test_cfg['flip_test'] = False
    data = batch(model, crops(data_root))
    assert len(data['data_samples']) == 8
    assert worst_joint(model, data) > 4
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0)
    for step in range(1, 301):
        for group in optimizer.param_groups:
            group['lr'] = 2e-3 * min(step / 20, 1)
        loss = model(**data, mode='loss')['loss_kpt']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0 and worst_joint(model, data) < 2:
            break
    assert worst_joint(model, data) < 2


def test_new_weights_are_one_linear_layer():
    head = pose_estimator().head
    assert {
        n: tuple(p.shape)
        for n, p in head.named_parameters()
    } == {
        'keypoint_embed.weight': (96, 192),
        'keypoint_embed.bias': (96, ),
    }


def test_all_weights_of_pretraining_are_loaded():
    torch.manual_seed(0)
    source, target = pretrainer(), pose_estimator()
    given = {k: v.clone() for k, v in source.state_dict().items()}
    load_state_dict(target, given)
    loaded = target.state_dict()
    assert {k
            for k in loaded if k.startswith('backbone.')} - set(given) == {
                'backbone.queries.embeddings'
            }
    for key, value in given.items():
        if key.startswith('backbone.'):
            assert torch.equal(loaded[key], value), key


def test_heatmaps_are_embeddings_times_features():
    torch.manual_seed(0)
    head = QueryHeatmapHead(6, 5)
    x = GLIDOutput(torch.randn(2, 5, 3, 4), torch.randn(3, 2, 7, 6))
    heatmaps = head(x)
    assert heatmaps.shape == (2, 7, 3, 4)
    weight, bias = head.keypoint_embed.weight, head.keypoint_embed.bias
    for b in range(2):
        for k in range(7):
            # f^k of eq. 8; only the last layer answers.
            embedding = weight @ x.query_features[-1, b, k] + bias
            embedding = embedding * SCALE / 5
            for i in range(3):
                for j in range(4):
                    pixel = sum(embedding[c] * x.mask_features[b, c, i, j]
                                for c in range(5))
                    assert torch.allclose(heatmaps[b, k, i, j], pixel, 1e-4)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float64])
def test_a_model_of_another_type_makes_fp32_heatmaps(dtype):
    torch.manual_seed(0)
    head = QueryHeatmapHead(6, 5)
    x = GLIDOutput(torch.randn(2, 5, 3, 4), torch.randn(3, 2, 7, 6))
    expected = head(x)
    heatmaps = head.to(dtype)(GLIDOutput(*(t.to(dtype) for t in x)))
    assert heatmaps.dtype == torch.float32
    assert (heatmaps - expected).abs().max() < .02 * expected.abs().max()


def test_loss_weighs_smooth_l1_and_knows_beta():
    torch.manual_seed(0)
    head = QueryHeatmapHead(
        6,
        5,
        loss=dict(
            type='mmpose.SoftWeightSmoothL1Loss',
            use_target_weight=True,
            beta=.1))
    x = GLIDOutput(torch.randn(2, 5, 3, 4), torch.randn(1, 2, 7, 6))
    targets, weights = torch.rand(2, 7, 3, 4), torch.rand(2, 7)
    weights[0, 3] = 0
    samples = []
    for target, weight in zip(targets, weights):
        sample = PoseDataSample()
        sample.gt_fields = PixelData(heatmaps=target)
        sample.gt_instance_labels = InstanceData(keypoint_weights=weight[None])
        samples.append(sample)
    loss = head.loss(x, samples, dict(compute_acc=False))['loss_kpt']
    expected = torch.nn.functional.smooth_l1_loss(
        head(x), targets, reduction='none', beta=.1)
    expected = (expected * weights[..., None, None]).mean()
    assert torch.allclose(loss, expected)


@pytest.mark.parametrize('beta', [1., .1])
def test_loss_is_mmposes(beta):
    torch.manual_seed(0)
    heatmaps, targets = torch.randn(2, 3, 7, 5, 6, dtype=torch.double)
    weights = torch.rand(3, 7)
    settings = dict(use_target_weight=True, beta=beta)
    for start in (heatmaps, heatmaps * .01):
        found, expected = (
            loss(**settings)(start, targets, weights)
            for loss in (SoftWeightSmoothL1Loss,
                         mmpose_losses.SoftWeightSmoothL1Loss))
        assert torch.allclose(found, expected, 1e-12)


@pytest.mark.parametrize('size', [(20, 16), (16, 12), (5, 7)])
def test_accuracy_is_mmposes(size):
    torch.manual_seed(0)
    for share in (0., .2, .8, 1.):
        targets = torch.rand(6, 5, *size)
        heatmaps = targets.roll((1, -1, 0)[int(share * 3) % 3], -1)
        heatmaps = torch.where(
            torch.rand(6, 5, 1, 1) < .4, heatmaps, torch.rand(6, 5, *size))
        # Ties, and heatmaps that have no peak.
        heatmaps[0] = heatmaps[0].round()
        heatmaps[1, :2] = -1
        targets[2, 1:] = 0
        visible = torch.rand(6, 5) < share
        visible[:, 3] = False
        _, expected, _ = pose_pck_accuracy(heatmaps.numpy(), targets.numpy(),
                                           visible.numpy())
        found = heatmap_accuracy(heatmaps, targets, visible)
        assert found.item() == pytest.approx(expected, abs=1e-12)


@torch.no_grad()
def test_flip_test_is_the_mean_with_the_mirrored_image(data_root):
    torch.manual_seed(0)
    model = pose_estimator().eval()
    data = batch(model, crops(data_root, 2), False)
    model.test_cfg['output_heatmaps'] = True
    samples = model(**data, mode='predict')
    straight = model(data['inputs'], None, mode='tensor')
    mirrored = model(data['inputs'].flip(-1), None, mode='tensor')
    for b, sample in enumerate(samples):
        for k, name in enumerate(KEYPOINTS):
            if name.startswith('left'):
                name = name.replace('left', 'right')
            elif name.startswith('right'):
                name = name.replace('right', 'left')
            other = mirrored[b, KEYPOINTS.index(name)].flip(-1)
            assert torch.allclose(
                sample.pred_fields.heatmaps[k], (straight[b, k] + other) / 2,
                atol=1e-6)


def test_flipped_samples_ask_the_same_queries(data_root):
    flip = dict(type='mmpose.RandomFlip', prob=1.)
    straight = dataset(data_root)
    mirrored = dataset(
        data_root, pipeline=PIPELINE[:2] + [flip] + PIPELINE[2:])
    indices = straight.metainfo['flip_indices']
    assert [KEYPOINTS[i].split('_')[-1]
            for i in indices] == [k.split('_')[-1] for k in KEYPOINTS]
    for index in range(3):
        a, b = straight[index], mirrored[index]
        # Cropped around a box of the same middle, to a rounding.
        difference = (a['inputs'].float() - b['inputs'].flip(-1).float()).abs()
        assert difference.mean() < 2
        a, b = (x['data_samples'].gt_fields.heatmaps for x in (a, b))
        assert torch.allclose(a, b[indices].flip(-1), atol=.05)
        assert not torch.allclose(a, b.flip(-1), atol=.05)


each_config = pytest.mark.parametrize(
    'path', sorted(CONFIGS.glob('*.py')), ids=lambda path: path.stem)


def codec_of(model):
    codec = dict(model.head.decoder)
    kinds = dict(UDPHeatmap=UDPHeatmap, MSRAHeatmap=MSRAHeatmap)
    return kinds[codec.pop('type')](**codec)


@each_config
def test_configs_train_and_test_with_one_codec(path):
    config = Config.fromfile(path)
    codec = config.model.head.decoder
    for split in ('train', 'val', 'test'):
        for step in config[f'{split}_dataloader'].dataset.pipeline:
            if step.type == 'GenerateTarget':
                assert step.encoder == codec
            if step.type == 'TopdownAffine':
                assert step.input_size == codec.input_size
                udp = codec.type == 'UDPHeatmap'
                assert step.get('use_udp', False) == udp


@each_config
def test_configs_codecs_find_keypoints_again(path):
    codec = codec_of(Config.fromfile(path).model)
    # Up to the border, as heads and feet are.
    rng = np.random.default_rng(0)
    truth = rng.uniform(.05, .95, (1, 50, 2)) * codec.input_size
    truth = truth.astype(np.float32)
    heatmaps = codec.encode(truth, np.ones((1, 50), np.float32))['heatmaps']
    found, _ = codec.decode(heatmaps)
    # Half a pixel of the heatmap each way, if it is not refined.
    assert np.abs(found - truth).max() <= 2


@each_config
def test_configs_shift_flipped_heatmaps_as_their_codec_wants(path):
    model = Config.fromfile(path).model
    codec = codec_of(model)
    rng = np.random.default_rng(0)
    width, height = codec.input_size
    truth = rng.uniform(.2, .8, (1, 4, 2)) * (width, height)
    truth = truth.astype(np.float32)
    indices = [1, 0, 2, 3]
    mirrored, _ = flip_keypoints(truth.copy(), np.ones((1, 4)),
                                 (width, height), indices)
    # Heatmaps stand for features: a model that is always right.
    pair = [
        GLIDOutput(
            torch.from_numpy(codec.encode(points)['heatmaps'])[None],
            torch.zeros(1, 1, 4, 1)) for points in (truth, mirrored)
    ]
    sample = PoseDataSample(metainfo=dict(flip_indices=indices))
    head = pose_estimator().head
    head.decoder = codec
    head.forward = lambda feats: feats.mask_features.clone()

    def error(shift):
        settings = dict(model.test_cfg, shift_heatmap=shift)
        answer, = head.predict(pair, [sample], settings)
        return np.abs(answer.keypoints - truth).mean()

    shift = model.test_cfg.shift_heatmap
    assert model.test_cfg.flip_test
    assert error(shift) < error(not shift)
    assert error(shift) < 1.5


def metric(root):
    metric = CocoMetric(
        ann_file=str(root / 'annotations' / 'person_keypoints_val.json'))
    metric.dataset_meta = dataset(root, 'val').metainfo
    return metric


def boxes_file(root, path, score=.9, **changes):
    """Annotated boxes as a detector's results."""
    content = json.loads(
        (root / 'annotations' / 'person_keypoints_val.json').read_text())
    found = [
        dict(
            image_id=a['image_id'],
            category_id=a['category_id'],
            bbox=a['bbox'],
            score=score) for a in content['annotations']
        if any(a['keypoints'][2::3])
    ]
    found.append(dict(found[0], category_id=1))
    found[0].update(changes)
    path.write_text(json.dumps(found))
    return path


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
        # That of another category is left out.
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


def test_scenes_keypoints_are_cocos(data_root):
    meta = CocoPoseDataset(lazy_init=True).metainfo
    assert tuple(meta['keypoint_id2name'].values()) == KEYPOINTS
    assert {frozenset(pair)
            for pair in meta['skeleton_links']
            } == {frozenset((a - 1, b - 1))
                  for a, b in SKELETON}


def test_bf16_heatmaps_and_losses_are_fp32_and_near(data_root):
    torch.manual_seed(0)
    model = pose_estimator()
    data = batch(model, crops(data_root, 2))
    full = model(**data, mode='loss')
    with torch.autocast('cpu', torch.bfloat16):
        half = model(**data, mode='loss')
        with torch.no_grad():
            heatmaps = model(data['inputs'], None, mode='tensor')
            model.eval()(**data, mode='predict')
    assert half['loss_kpt'].dtype == heatmaps.dtype == torch.float32
    assert abs(half['loss_kpt'] - full['loss_kpt']) < .1 * full['loss_kpt']


def changed(root, change, name='changed.json'):
    """Validation annotations after ``change(content)``."""
    content = json.loads(
        (root / 'annotations' / 'person_keypoints_val.json').read_text())
    change(content)
    path = root / 'annotations' / name
    path.write_text(json.dumps(content))
    return f'annotations/{name}'


def first(**changes):
    """Change the first annotation."""
    return lambda content: content['annotations'][0].update(changes)


def swapped(content):
    names = content['categories'][0]['keypoints']
    names[1], names[2] = names[2], names[1]


def nobody(content):
    for annotation in content['annotations']:
        annotation['iscrowd'] = 1


def normalised(content):
    for annotation in content['annotations']:
        annotation['bbox'] = [v / 64 for v in annotation['bbox']]


def unlabelled(content):
    for annotation in content['annotations']:
        annotation['keypoints'][2::3] = [0] * 17


@pytest.mark.parametrize('change,message', [
    (first(keypoints=[1, 1, 2] * 5),
     'annotation 1 of image 0 has 5 keypoints.*has 17: nose, left_eye'),
    (first(bbox=[64, 5, 10, 10]),
     r'annotation 1 has the box \[64, 5, 10, 10\].*outside its image '
     '000000.jpg of 64×64'),
    (swapped, 'person are nose, right_eye.*another order: nose, left_eye'),
    (nobody, 'changed.json: 5 of 5 boxes .* because they are of crowds'),
    (normalised, '5 of 5 boxes .* because they are less than a pixel wide'),
    (lambda content: content['images'][0].update(id='one'),
     "changed.json: 1 ids of images are texts, such as 'one'"),
    (unlabelled, 'changed.json: no keypoint of any person is labelled'),
    (lambda content: content['annotations'].clear(), 'no person in any image'),
    (lambda content: content['annotations'][1].pop('id'),
     r"1 of \d+ annotations have no 'id', the first being {'image_id'"),
    (lambda content: content['images'][0].pop('width'),
     r"1 of \d+ images have no 'width'.*needs id, file_name, height, width"),
])
def test_annotations_that_do_not_fit_are_named(data_root, change, message):
    ann_file = changed(data_root, change)
    with pytest.raises(UserError, match=message):
        dataset(data_root, 'val', ann_file=ann_file)


@pytest.mark.parametrize('change,message', [
    (lambda content: content['annotations'][0].pop('keypoints'),
     "1 of .* annotations have no 'keypoints'"),
    (lambda content: content.pop('categories'), "has no 'categories'"),
    (first(category_id=9),
     r'changed.json: 1 annotations are of no category .*annotation 1 of'),
])
def test_what_only_the_evaluation_reads_is_checked_before(
        data_root, change, message):
    ann_file = changed(data_root, change)
    with pytest.raises(UserError, match=message):
        dataset(data_root, 'val', ann_file=ann_file, test_mode=True)


def meta(**changes):
    """A definition of two keypoints."""
    ear = dict(name='left', id=0, swap='right')
    return {
        **dict(
            dataset_name='ears',
            keypoint_info={
                0: ear,
                1: dict(name='right', id=1, swap='left')
            },
            skeleton_info={0: dict(link=('left', 'right'), id=0)},
            joint_weights=[1.] * 2,
            sigmas=[.05] * 2),
        **changes
    }


@pytest.mark.parametrize('changes,message', [
    (dict(sigmas=[.05] * 3), 'has 3 sigmas for 2 keypoints: left, right'),
    (dict(joint_weights=[1.]), 'has 1 joint_weights for 2 keypoints'),
    (dict(
        keypoint_info={
            0: dict(name='left', id=0, swap='right'),
            1: dict(name='right', id=1, swap='')
        }), "of 'ears': in the mirror left becomes right, but right becomes "
     "right. Of a pair, each is the other's 'swap'"),
    (dict(
        keypoint_info={
            0: dict(name='left', id=0, swap='rigth'),
            1: dict(name='right', id=1, swap='left')
        }), "no 'rigth': each keypoint needs a name, and 'swap'"),
    (dict(keypoint_info={
        0: dict(name='left', id=0),
        2: dict(name='right', id=2)
    }), 'number its keypoints 0, 1, 2, …'),
    (dict(from_file='nowhere.py'), '"nowhere.py" does not exist'),
])
def test_metainfo_that_contradicts_itself_is_refused(changes, message):
    CocoPoseDataset(metainfo=meta(), lazy_init=True)
    with pytest.raises(UserError, match='has dataset_name. It needs .*sigmas'):
        CocoPoseDataset(metainfo=dict(dataset_name='ears'), lazy_init=True)
    with pytest.raises(UserError, match=message):
        CocoPoseDataset(metainfo=meta(**changes), lazy_init=True)


@pytest.mark.parametrize('changes,message', [
    (dict(bbox=[-20, 5, 10, 10]), r'box 0 has the box \[-20, .*outside'),
    (dict(image_id=77), 'box 0 is in image 77, which .*person_keypoints_val'),
])
def test_detected_boxes_that_do_not_fit_are_named(data_root, tmp_path, changes,
                                                  message):
    path = boxes_file(data_root, tmp_path / 'boxes.json', **changes)
    with pytest.raises(UserError, match=message):
        dataset(data_root, 'val', test_mode=True, bbox_file=str(path))


def test_annotations_behind_detected_boxes_are_checked_as_well(
        data_root, tmp_path):

    def detected(change):
        return dataset(
            data_root,
            'val',
            test_mode=True,
            ann_file=changed(data_root, change),
            bbox_file=str(boxes_file(data_root, tmp_path / 'boxes.json')))

    with pytest.raises(UserError, match='annotation 1 of image 0 has 5 keyp'):
        detected(first(keypoints=[1, 1, 2] * 5))
    with pytest.raises(UserError, match='another order: nose, left_eye'):
        detected(swapped)
    with pytest.raises(UserError, match="1 of .* annotations have no 'area'"):
        detected(lambda content: content['annotations'][0].pop('area'))
    # The names of keypoints may be left out.
    count = len(detected(lambda content: None))
    assert count == len(
        detected(lambda content: content['categories'][0].pop('keypoints')))


def test_files_that_are_not_there_or_hold_nobody_are_named(
        data_root, tmp_path):
    with pytest.raises(UserError, match='no bbox_file .*bbox_file=None'):
        dataset(data_root, 'val', test_mode=True, bbox_file='nowhere.json')
    with pytest.raises(UserError, match='no ann_file .*elsewhere.json'):
        dataset(data_root, ann_file='annotations/elsewhere.json')
    path = tmp_path / 'boxes.json'
    path.write_text('[]')
    with pytest.raises(UserError, match='boxes.json: no person in any image'):
        dataset(data_root, 'val', test_mode=True, bbox_file=str(path))
    # Boxes without a size are left out.
    boxes_file(data_root, path, bbox=[5, 5, 0, 9])
    left = dataset(data_root, 'val', test_mode=True, bbox_file=str(path))
    boxes_file(data_root, path, bbox=[5, 5, 9, 9])
    assert len(left) + 1 == len(
        dataset(data_root, 'val', test_mode=True, bbox_file=str(path)))


@pytest.mark.parametrize('content,message', [
    ('{"images": []}', 'is no list of boxes.*image_id, category_id, bbox'),
    ('[{"image_id": 0, "category_id": 4, "bbox": [1, 1, 9, 9]}]',
     "1 of 1 boxes have no 'score'"),
    ('[{"image_id"', 'boxes.json cannot be read: Expecting'),
])
def test_files_that_are_no_boxes_are_named(data_root, tmp_path, content,
                                           message):
    path = tmp_path / 'boxes.json'
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        dataset(data_root, 'val', test_mode=True, bbox_file=str(path))


@pytest.mark.parametrize('content', ['[]', '{"images":'])
def test_annotation_files_that_are_none_are_named(data_root, tmp_path,
                                                  content):
    path = tmp_path / 'damaged.json'
    path.write_text(content)
    with pytest.raises(UserError, match='damaged.json cannot be read'):
        dataset(data_root, ann_file=str(path))


def test_codecs_that_the_head_cannot_serve_are_refused(data_root):
    for changes, message in ((dict(heatmap_size=(32, 32)),
                              r'Set heatmap_size=\(16, 16\)'),
                             (dict(heatmap_type='combined'),
                              "Set heatmap_type='gaussian'"),
                             (dict(sigma=1.5), 'Set sigma=1 or sigma=2')):
        codec = dict(type='mmpose.UDPHeatmap', **{**CODEC, **changes})
        with pytest.raises(UserError, match=message):
            QueryHeatmapHead(decoder=codec)
    codec = dict(type='mmpose.SimCCLabel', input_size=(64, 64))
    with pytest.raises(UserError, match="'SimCCLabel' is not of heatmaps"):
        QueryHeatmapHead(decoder=codec)
    model = pose_estimator(num_keypoints=5)
    with pytest.raises(
            UserError,
            match='makes 5 heatmaps of 16×16, .* are 17 heatmaps of 16×16'):
        model(**batch(model, crops(data_root, 1)), mode='loss')


def run(config):
    return RUNNERS.build(config)


@pytest.mark.slow
def test_training_in_bf16_and_evaluation(data_root, tmp_path):
    config = short_run(SCENES, data_root, tmp_path / 'run')
    config.optim_wrapper.type = 'glid_mm.BF16OptimWrapper'
    run(config).train()
    config.load_from = str(tmp_path / 'run' / 'iter_1.pth')
    config.work_dir = str(tmp_path / 'test')
    assert 0 <= run(config).test()['coco/AP'] <= 1


@pytest.mark.slow
def test_evaluation_refuses_weights_that_are_not_all_there(
        data_root, tmp_path):
    path = tmp_path / 'weights.pth'

    def test(source, **changes):
        torch.save(source.state_dict(), path)
        config = short_run(SCENES, data_root, tmp_path / 'test', **changes)
        config.load_from = str(path)
        return run(config).test()

    with pytest.raises(UserError, match='3 weights of the model.*fine-tuned'):
        test(pretrainer())
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(Config.fromfile(SCENES).model)
    with pytest.raises(
            UserError,
            match=r'1 weights of the model .*embeddings \(\(17, 192\) there, '
            r'\(5, 192\) here\)'):
        test(model, **{'model.backbone.num_queries': 5})
    assert 'coco/AP' in test(model)


FIVE = """
dataset_info = dict(
    dataset_name='five',
    keypoint_info={{
        i: dict(name=name, id=i, swap=swap)
        for i, (name, swap) in enumerate({pairs})
    }},
    skeleton_info={{}},
    joint_weights=[1.] * 5,
    sigmas=[.05] * 5)
"""


@pytest.mark.slow
def test_other_keypoints_need_only_config_and_data(data_root, tmp_path):
    names = KEYPOINTS[:5]
    swaps = ['', *(names[i] for i in (2, 1, 4, 3))]
    (tmp_path / 'five.py').write_text(
        FIVE.format(pairs=list(zip(names, swaps))))

    def five(content):
        content['categories'][0]['keypoints'] = list(names)
        for annotation in content['annotations']:
            del annotation['keypoints'][15:]
            annotation['num_keypoints'] = sum(
                v > 0 for v in annotation['keypoints'][2::3])

    ann_file = changed(data_root, five, 'five.json')
    changes = {
        f'{split}_dataloader.dataset.{key}': value
        for split in ('train', 'val')
        for key, value in {
            'metainfo': dict(from_file=str(tmp_path / 'five.py')),
            'ann_file': ann_file,
            'data_prefix.img': 'images/val',
        }.items()
    }
    with pytest.raises(
            UserError,
            match='backbone.num_queries is 17, and the data set .* has 5 '
            'keypoints: nose, left_eye, right_eye, left_ear, right_ear. Set '
            'model.backbone.num_queries=5'):
        run(short_run(SCENES, data_root, tmp_path / 'refused',
                      **changes)).train()
    changes['model.backbone.num_queries'] = 5
    runner = run(short_run(SCENES, data_root, tmp_path / 'run', **changes))
    runner.train()
    assert runner.model.metainfo is None
    assert runner.val_dataloader.dataset[0]['data_samples'].flip_indices == [
        0, 2, 1, 4, 3
    ]


def test_the_example_of_own_keypoints_is_sound():
    path = CONFIGS / 'glid_swin-b_8xb64-210e_custom-256x192.py'
    config = Config.fromfile(path)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        meta = parse_pose_metainfo(config[loader].dataset.metainfo)
        count = meta['num_keypoints']
        assert count == config.model.backbone.num_queries != 17
        assert len(meta['sigmas']) == count
        assert len(meta['dataset_keypoint_weights']) == count
        assert [meta['flip_indices'][i]
                for i in meta['flip_indices']] == list(range(count))


@pytest.fixture(scope='module')
def weights(data_root, tmp_path_factory):
    """Configs and untrained weights: of poses, of boxes."""
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
            # It sees persons everywhere.
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
    # Nobody is no error, and no skeleton of the whole image either.
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

    # mmpose sorts by the score of keypoints, we by that of boxes.
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
    # What is beside an image does no harm.
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
