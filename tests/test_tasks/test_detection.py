import copy
import json
import math
import re
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric
from mmdet.models.dense_heads import DETRHead
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS, init_default_scope
from mmengine.runner import load_state_dict
from mmengine.structures import InstanceData
from PIL import Image

from glid_mm.errors import UserError
from glid_mm.models.layers.position import spread_points
from glid_mm.scenes import render_scene, write_scenes
from glid_mm.scenes.labels import instance_annotations
from glid_mm.tasks.detection import (BoxHead, CocoDataset, DetInferencer,
                                     FocalLoss, box_head)
from glid_mm.tasks.detection.box_head import MATCHING
from glid_mm.tasks.detection.coco_dataset import CheckedCOCO
from ..nano import detector, pretrainer, short_run

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'detection'


def boxes(*rows):
    """Ground truth from rows of x1, y1, x2, y2, label."""
    rows = torch.tensor(rows, dtype=torch.float).reshape(-1, 5)
    return InstanceData(bboxes=rows[:, :4], labels=rows[:, 4].long())


def scene(index, size=64):
    drawn = render_scene(0, 'train', index, size)
    image = torch.from_numpy(drawn.image).permute(2, 0, 1)
    return image, boxes(*[(x, y, x + w, y + h, a['category_id'] - 1)
                          for a in instance_annotations(drawn)
                          for x, y, w, h in [a['bbox']]])


def batch(model, images, truth, training=True):
    samples = []
    for index, (image, instances) in enumerate(zip(images, truth)):
        shape = tuple(image.shape[1:])
        samples.append(
            DetDataSample(
                metainfo=dict(
                    img_shape=shape,
                    ori_shape=shape,
                    scale_factor=(1., 1.),
                    img_path=f'{index}.jpg'),
                gt_instances=instances))
    return model.data_preprocessor(
        dict(inputs=list(images), data_samples=samples), training)


def predict(model, images):
    data = batch(model, images, [boxes()] * len(images), False)
    with torch.no_grad():
        samples = model.eval()(**data, mode='predict')
    return [sample.pred_instances for sample in samples]


def average_precision(predictions, truth):
    """AP50 of mmdet's ``CocoMetric``."""
    metric = CocoMetric(metric='bbox')
    metric.dataset_meta = dict(classes=('box', 'ball', 'cone', 'person'))
    for index, (guess, real) in enumerate(zip(predictions, truth)):
        instances = [
            dict(bbox=box, bbox_label=label)
            for box, label in zip(real.bboxes.tolist(), real.labels.tolist())
        ]
        metric.process({}, [
            dict(
                pred_instances=guess,
                img_id=index,
                ori_shape=(64, 64),
                instances=instances)
        ])
    return metric.evaluate(len(predictions))['coco/bbox_mAP_50']


@pytest.mark.slow
def test_images_are_over_fitted_with_hybrid_matching():
    torch.manual_seed(0)
    model = detector(10, 10)
    assert (model.backbone.queries.embeddings == 0).all()
    images, truth = zip(*map(scene, range(3)))
    data = batch(model, images, truth)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0)
    steps = 150
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    for _ in range(steps):
        loss = sum(model(**data, mode='loss').values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.)
        optimizer.step()
        schedule.step()
    assert average_precision(predict(model, images), truth) > .9


def test_new_weights_are_two_linear_layers():
    head = detector().bbox_head
    assert {
        n: tuple(p.shape)
        for n, p in head.named_parameters()
    } == {
        'fc_cls.weight': (4, 192),
        'fc_cls.bias': (4, ),
        'fc_reg.weight': (4, 192),
        'fc_reg.bias': (4, ),
    }
    assert head.fc_cls.bias.sigmoid().tolist() == pytest.approx([.01] * 4)


def test_all_weights_of_pretraining_are_loaded():
    torch.manual_seed(0)
    source, target = pretrainer(), detector(20, 30)
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


@torch.no_grad()
def test_queries_of_training_alone_change_no_bit_of_evaluation():
    torch.manual_seed(0)
    hybrid, plain = detector(20, 50), detector(20)
    hybrid.backbone.queries.embeddings.normal_()
    state = hybrid.state_dict()
    key = 'backbone.queries.embeddings'
    state[key] = state[key][:20]
    plain.load_state_dict(state)
    images = [torch.rand(3, 50, 60) * 255, torch.rand(3, 64, 40) * 255]
    for a, b in zip(predict(hybrid, images), predict(plain, images)):
        assert torch.equal(a.bboxes, b.bboxes)
        assert torch.equal(a.scores, b.scores)
        assert torch.equal(a.labels, b.labels)


def test_the_two_groups_of_queries_do_not_see_each_other():
    torch.manual_seed(0)
    model = detector(5, 7).double()
    embeddings = model.backbone.queries.embeddings
    embeddings.data.normal_()
    images = torch.randn(1, 3, 64, 64).double()
    # A gradient flows from each query to those of its group and no others.
    together = model.backbone(images, None, *model.groups)
    together = together.query_features[-1, 0]
    for index in (0, 4, 5, 11):
        gradient, = torch.autograd.grad(
            together[index].square().sum(), embeddings, retain_graph=True)
        assert (gradient.abs().sum(1)
                > 0).tolist() == [(i < 5) == (index < 5) for i in range(12)]
    # Each group answers as it would alone.
    first = model.backbone(images, None, slice(5)).query_features[-1, 0]
    assert torch.allclose(together[:5], first, atol=1e-12)
    embeddings.data = embeddings.data.roll(7, 0)
    second = model.backbone(images, None, slice(7)).query_features[-1, 0]
    assert torch.allclose(together[5:], second, atol=1e-12)


def heads():
    """Ours, and mmdet's on the same classes and boxes."""
    torch.manual_seed(0)
    ours = BoxHead(4, 16)
    theirs = DETRHead(
        4,
        16,
        sync_cls_avg_factor=True,
        loss_cls=dict(type='mmdet.FocalLoss', loss_weight=2.),
        train_cfg=MATCHING)
    return ours, theirs


METAS = [dict(img_shape=(60, 80)), dict(img_shape=(64, 50))]
TRUTH = [
    boxes((5, 5, 30, 40, 0), (10, 0, 20, 60, 3), (50, 20, 79, 59, 1)),
    boxes((0, 0, 50, 64, 2))
]


@pytest.mark.parametrize('truth', [
    pytest.param(TRUTH, id='objects'),
    pytest.param([TRUTH[0], boxes()], id='an image without'),
    pytest.param([boxes(), boxes()], id='no objects at all'),
    pytest.param([
        boxes(*[(i, 2 * i, i + 30, 60 - i, i % 4) for i in range(13)]),
        TRUTH[1]
    ], id='more objects than queries'),
])  # yapf: disable
def test_losses_are_those_of_mmdets_detr_head(truth):
    ours, theirs = heads()
    states = torch.randn(4, 2, 10, 16)
    predicted = [x.detach().requires_grad_() for x in ours(states)]
    samples = [
        DetDataSample(metainfo=meta, gt_instances=instances)
        for meta, instances in zip(METAS, truth)
    ]
    losses = ours.loss(states, samples)
    gradients = []
    for head in ours, theirs:
        found = head.loss_by_feat(*predicted, truth, METAS)
        assert list(losses) == list(found)
        for name, value in found.items():
            assert torch.allclose(losses[name], value, 1e-6), name
        gradients.append(
            torch.autograd.grad(sum(found.values()).sum(), predicted))
    for one, other in zip(*gradients):
        assert torch.allclose(one, other, 1e-5, 1e-8)


@pytest.mark.parametrize('count', [0, 1])
def test_fewer_objects_than_processes_weigh_as_in_one(count, monkeypatch):
    head, _ = heads()
    states = torch.randn(2, 2, 10, 16)
    truth = [boxes((5, 5, 30, 40, 0))] * count + [boxes()] * (2 - count)
    joint = head.loss_by_feat(*head(states), truth, METAS)
    # Two processes of one image each.
    monkeypatch.setattr(box_head, 'get_world_size', lambda: 2)
    monkeypatch.setattr(box_head, 'mean_over_processes',
                        lambda own: torch.tensor(count / 2))
    shares = [
        head.loss_by_feat(*head(states[:, [i]]), truth[i:i + 1],
                          METAS[i:i + 1]) for i in range(2)
    ]
    for name, value in joint.items():
        mean = sum(share[name] for share in shares) / 2
        assert torch.allclose(mean, value), name


def test_focal_loss_of_indices_is_mmdets():
    from mmdet.models.losses import FocalLoss as Expected
    torch.manual_seed(0)
    logits, labels = torch.randn(7, 3), torch.tensor([0, 1, 2, 3, 3, 0, 3])
    args = logits, labels, torch.rand(7)
    assert torch.equal(FocalLoss()(*args, avg_factor=3),
                       Expected()(*args, avg_factor=3))


def test_the_other_group_learns_from_repeated_ground_truth():
    torch.manual_seed(0)
    many = dict(one_to_many_queries=9, one_to_many_repeats=2)
    head = BoxHead(4, 16, one_to_many_weight=.5, **many)
    states = torch.randn(2, 2, 14, 16)
    samples = [
        DetDataSample(metainfo=meta, gt_instances=truth)
        for meta, truth in zip(METAS, TRUTH)
    ]
    losses = head.loss(states, samples)
    plain = BoxHead(4, 16)
    plain.load_state_dict(head.state_dict())
    expected = plain.loss(states[:, :, :5], samples)
    twice = [
        DetDataSample(
            metainfo=meta,
            gt_instances=boxes(
                *[(*box, label) for _ in range(2) for box, label in zip(
                    truth.bboxes.tolist(), truth.labels.tolist())]))
        for meta, truth in zip(METAS, TRUTH)
    ]
    for name, value in plain.loss(states[:, :, 5:], twice).items():
        expected[f'o2m.{name}'] = .5 * value
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(losses[name], value), name


CROWDED = [(i % 60, i // 60 * 8, i % 60 + 4, i // 60 * 8 + 8, i % 4)
           for i in range(400)]


@pytest.mark.parametrize('truth', [
    pytest.param([boxes(), boxes()], id='no objects at all'),
    pytest.param([boxes(), boxes((3, 3, 20, 30, 1))], id='an image without'),
    pytest.param(
        [boxes((3, 3, 3, 3, 1)),
         boxes((0, 0, 64, 64, 0), (9, 4, 9, 30, 2))],
        id='zero area'),
    pytest.param([boxes(*CROWDED), boxes()], id='400 objects'),
])
def test_odd_ground_truth_trains(truth):
    torch.manual_seed(0)
    model = detector(10, 20)
    data = batch(model, torch.rand(2, 3, 64, 64) * 255, truth)
    loss = sum(model(**data, mode='loss').values())
    assert loss.isfinite()
    loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad.isfinite().all(), name


@torch.no_grad()
def test_an_image_answers_alone_as_in_a_padded_batch():
    torch.manual_seed(0)
    model = detector()
    model.backbone.queries.embeddings.normal_()
    images = [torch.rand(3, *size) * 255 for size in ((50, 60), (90, 70))]
    together = predict(model, images)
    for image, found in zip(images, together):
        alone, = predict(model, [image])
        assert torch.allclose(found.bboxes, alone.bboxes, atol=1e-3)
        assert torch.allclose(found.scores, alone.scores, atol=1e-5)
        assert torch.equal(found.labels, alone.labels)


@torch.no_grad()
def test_boxes_come_back_in_pixels_of_the_original_images():
    torch.manual_seed(0)
    model = detector(num_queries=5)
    model.backbone.queries.embeddings.normal_()
    images = [torch.rand(3, *size) * 255 for size in ((50, 60), (90, 70))]
    data = batch(model, images, [boxes()] * 2, False)
    for sample in data['data_samples']:
        sample.set_metainfo(dict(scale_factor=(.5, 2.)))
    scores, shares = model.eval()(**data, mode='tensor')
    samples = model(**data, mode='predict')
    for index, sample in enumerate(samples):
        height, width = images[index].shape[1:]
        found = sample.pred_instances
        order = scores[-1, index].sigmoid().flatten().argsort(descending=True)
        assert len(found.scores) == 20
        for k, place in enumerate(order.tolist()):
            query, label = divmod(place, 4)
            x, y, w, h = shares[-1, index, query].tolist()
            expected = [
                max(x - w / 2, 0) * width / .5,
                max(y - h / 2, 0) * height / 2.,
                min(x + w / 2, 1) * width / .5,
                min(y + h / 2, 1) * height / 2.
            ]
            assert found.bboxes[k].tolist() == pytest.approx(expected, 1e-4)
            assert found.labels[k] == label


def test_bf16_losses_are_fp32_and_near():
    torch.manual_seed(0)
    model = detector(10, 20)
    model.backbone.queries.embeddings.data.normal_()
    images, truth = zip(*map(scene, range(2)))
    data = batch(model, images, truth)
    full = model(**data, mode='loss')
    with torch.autocast('cpu', torch.bfloat16):
        half = model(**data, mode='loss')
    for name, value in full.items():
        assert half[name].dtype == torch.float32
        assert abs(half[name] - value) < .1 * value + .01, name


@pytest.mark.parametrize('what,cure', [('boxes', 'Mend its annotations'),
                                       ('weights', 'clip')])
def test_costs_that_are_not_finite_name_the_image_and_its_boxes(what, cure):
    torch.manual_seed(0)
    model = detector()
    truth = [boxes((1, 2, 30, 40, 0)), boxes((3, 3, 20, 30, 1))]
    if what == 'boxes':
        truth[1].bboxes[0, 2] = math.nan
    else:
        torch.nn.init.constant_(model.bbox_head.fc_reg.bias, math.nan)
        truth[0] = boxes()
    data = batch(model, torch.rand(2, 3, 64, 64) * 255, truth)
    with pytest.raises(UserError, match=rf'1\.jpg(.|\n)*\[\[3\.0.*{cure}'):
        model(**data, mode='loss')


def test_too_few_queries_are_refused_when_the_model_is_built():
    with pytest.raises(UserError, match='=20 counts all.*=20 leaves none'):
        detector(0, 20)
    with pytest.raises(UserError, match='max_per_img=20 is more than the 16'):
        detector(num_queries=4, one_to_many=10)
    with pytest.raises(UserError, match='one_to_many_repeats=0'):
        BoxHead(4, one_to_many_queries=3, one_to_many_repeats=0)


def test_assigners_without_costs_of_pairs_are_refused():
    assigner = dict(type='mmdet.MaxIoUAssigner', pos_iou_thr=.5, neg_iou_thr=0)
    with pytest.raises(UserError, match='MaxIoUAssigner.*HungarianAssigner'):
        BoxHead(4, 16, train_cfg=dict(assigner=assigner))


def test_boxes_are_relative_to_reference_points():
    torch.manual_seed(0)
    head = BoxHead(4, 16, reference_points=True)
    hidden = torch.randn(2, 3, 12, 16)
    points = spread_points(12).flip(-1)  # x, y
    _, boxes = head(hidden)
    assert torch.allclose(boxes[..., :2], points.expand(2, 3, 12, 2))
    assert torch.allclose(boxes[..., 2:], torch.tensor(.25))
    torch.nn.init.normal_(head.fc_reg.weight)
    _, boxes = head(hidden)
    odds = head.fc_reg(hidden)[..., :2].exp() * points / (1 - points)
    assert torch.allclose(boxes[..., :2], odds / (1 + odds), atol=1e-5)
    # Queries that are not asked do not move the points of the others.
    assert torch.equal(head(hidden[:, :, :5])[1], boxes[:, :, :5])
    assert len(list(head.parameters())) == 4


def test_query_embeddings_start_as_configured():
    from glid_mm.backbones import GLIDBackbone as GLID
    from ..nano import BACKBONE
    torch.manual_seed(0)
    for std in (0., .02):
        glid = GLID(
            **{
                k: v
                for k, v in BACKBONE.items() if k != 'type'
            },
            num_queries=100,
            embedding_std=std)
        assert glid.queries.embeddings.std().item() == pytest.approx(std, .05)


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'scenes'
    write_scenes(root, train=6, val=4, unlabelled=0, size=64, seed=0)
    return root


def annotations(root, **changes):
    """A copy of the training annotations with parts replaced."""
    content = json.loads(
        (root / 'annotations' / 'instances_train.json').read_text())
    for part, change in changes.items():
        content[part] = change(content[part])
    path = root / 'annotations' / 'changed.json'
    path.write_text(json.dumps(content))
    return path


def dataset(root, classes=('box', 'ball', 'cone', 'person'), **kwargs):
    return CocoDataset(
        data_root=str(root),
        ann_file='annotations/changed.json',
        data_prefix=dict(img='images/train'),
        metainfo=dict(classes=classes),
        pipeline=[],
        **kwargs)


@pytest.mark.parametrize('classes,message', [
    (('box', 'ball', 'cone', 'car', 'person'),
     'the 5 classes.* the 4 of.*Not in the file: car. Only.*: none'),
    (('box', 'ball'), 'Only in the file: cone, person.*num_classes=4'),
    (('person', 'box', 'ball', 'cone'), 'the order is that of the file'),
    ('box', r"the text 'box'.*\('box',\)"),
])
def test_classes_that_are_not_those_of_the_annotations_are_named(
        data_root, classes, message):
    annotations(data_root)
    with pytest.raises(UserError, match=message):
        dataset(data_root, classes)


def test_a_category_that_only_groups_others_is_no_class(data_root):
    annotations(
        data_root, categories=lambda cats: [dict(id=0, name='objects')] + cats)
    assert len(dataset(data_root)) == 6


def test_annotations_of_unknown_categories_are_named(data_root):

    def changed(all_annotations):
        all_annotations[2]['category_id'] = 77
        return all_annotations

    annotations(data_root, annotations=changed)
    with pytest.raises(
            UserError,
            match='1 annotations are of no category.*annotation 3 of image '
            r'.*category_id 77.*\[1, 2, 3, 4\]'):
        dataset(data_root)


@pytest.mark.parametrize('field', ['category_id', 'bbox', 'area', 'iscrowd'])
def test_annotations_that_lack_something_are_named(data_root, field):

    def changed(all_annotations):
        del all_annotations[2][field]
        return all_annotations

    annotations(data_root, annotations=changed)
    with pytest.raises(
            UserError, match=f"1 of .* annotations have no '{field}', .*3"):
        dataset(data_root)


@pytest.mark.parametrize('content', ['', '{"images": []}', '[]'])
def test_files_that_are_no_annotations_are_named(data_root, content):
    annotations(data_root).write_text(content)
    with pytest.raises(UserError, match='changed.json'):
        dataset(data_root)
    (data_root / 'annotations' / 'changed.json').unlink()
    with pytest.raises(UserError, match='changed.json'):
        dataset(data_root)


def test_crowds_and_boxes_without_area_are_not_learned_from(data_root):

    def changed(all_annotations):
        for annotation in all_annotations:
            x, y, w, h = annotation['bbox']
            if annotation['id'] == 1:
                annotation['iscrowd'] = 1
            elif annotation['id'] == 2:
                annotation['bbox'] = [x, y, 0, h]
        return all_annotations

    annotations(data_root, annotations=changed)
    data = dataset(data_root)
    flags = [
        i['ignore_flag'] for info in map(data.get_data_info, range(6))
        for i in info['instances']
    ]
    path = data_root / 'annotations' / 'instances_train.json'
    count = len(json.loads(path.read_text())['annotations'])
    assert sum(flags) == 1
    assert len(flags) == count - 1
    init_default_scope('mmdet')
    config = Config.fromfile(CONFIGS / 'glid_nano_1xb16-7k_scenes-128x128.py')
    config.train_dataloader.dataset.update(
        data_root=str(data_root), ann_file='annotations/changed.json')
    packed = DATASETS.build(config.train_dataloader.dataset)
    samples = [packed[i]['data_samples'] for i in range(6)]
    assert sum(len(s.ignored_instances) for s in samples) == 1
    model = detector(10, 20)
    images = [packed[i]['inputs'] for i in range(6)]
    data = model.data_preprocessor(
        dict(inputs=images, data_samples=samples), True)
    assert sum(model(**data, mode='loss').values()).isfinite()


def small_run(data_root, work_dir, **changes):
    """The config of Scenes, made short."""
    annotations = str(data_root / 'annotations' / 'instances_val.json')
    return short_run(
        CONFIGS / 'glid_nano_1xb16-7k_scenes-128x128.py', data_root, work_dir,
        **{
            'model.test_cfg.max_per_img': 20,
            'val_evaluator.ann_file': annotations,
            'test_evaluator.ann_file': annotations,
            **changes
        })


def run(config):
    from mmengine.registry import RUNNERS
    return RUNNERS.build(config)


@pytest.fixture(scope='module')
def trained(data_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    config = small_run(data_root, folder)
    run(config).train()
    return config, str(folder / 'iter_1.pth')


def test_training_evaluation_and_mmdets_inferencer(data_root, trained,
                                                   tmp_path):
    from mmdet import apis
    config, checkpoint = copy.deepcopy(trained)
    config.load_from = checkpoint
    config.work_dir = str(tmp_path / 'test')
    metrics = run(config).test()
    assert 0 <= metrics['coco/bbox_mAP_50'] <= 1
    inferencer = apis.DetInferencer(
        config, checkpoint, device='cpu', show_progress=False)
    image = str(data_root / 'images' / 'val' / '000000.jpg')
    answer = inferencer([image],
                        out_dir=str(tmp_path / 'out'),
                        pred_score_thr=0.)
    found, = answer['predictions']
    assert len(found['bboxes']) == len(found['labels']) == 20
    assert (tmp_path / 'out' / 'vis' / '000000.jpg').exists()
    inferencer(
        cv2.imread(image), out_dir=str(tmp_path / 'out'), no_save_pred=False)
    assert (tmp_path / 'out' / 'preds' / '0.json').exists()


def test_inferencer_takes_files_folders_and_arrays(trained, tmp_path):
    config, checkpoint = copy.deepcopy(trained)
    inferencer = DetInferencer(
        config, checkpoint, device='cpu', show_progress=False)
    folder = tmp_path / 'images'
    (folder / 'more').mkdir(parents=True)
    for name, size in {'a.png': (64, 64), 'more/b.png': (48, 80)}.items():
        Image.fromarray(render_scene(0, 'val', 0,
                                     size).image).save(folder / name)
    (folder / 'notes.txt').write_text('no image')
    options = dict(
        out_dir=str(tmp_path / 'out'), no_save_pred=False, return_vis=True)
    files = inferencer(folder, **options)
    assert len(files['predictions']) == 2
    # Arrays are as OpenCV reads them: the same boxes, the same pictures.
    arrays = [cv2.imread(str(folder / n)) for n in ('a.png', 'more/b.png')]
    given = inferencer(arrays, **options)
    assert given['predictions'] == files['predictions']
    for one, other in zip(given['visualization'], files['visualization']):
        assert np.array_equal(one, other)
    reverse = inferencer(np.ascontiguousarray(arrays[0][..., ::-1]))
    assert reverse['predictions'][0] != files['predictions'][0]
    inferencer(arrays[0], **options)
    written = {
        str(path.relative_to(tmp_path / 'out'))
        for path in (tmp_path / 'out').rglob('*.*')
    }
    assert written == {
        f'{kind}/{name}.{suffix}'
        for kind, suffix, names in (('preds', 'json', 'ab'),
                                    ('vis', 'png', 'ab'))
        for name in names
    } | {
        f'{kind}/0000000{number}.{suffix}'
        for kind, suffix in (('preds', 'json'), ('vis', 'jpg'))
        for number in (0, 1, 3)
    }
    saved = json.loads((tmp_path / 'out/preds/00000000.json').read_text())
    assert saved == files['predictions'][0]
    # A batch may have images of unlike sizes.
    batch = inferencer(folder, batch_size=2)['predictions']
    for one, other in zip(batch, files['predictions']):
        assert np.allclose(one['scores'], other['scores'], atol=1e-4)
        assert np.allclose(one['bboxes'], other['bboxes'], atol=.05)
    with pytest.raises(UserError, match='2 images are called a'):
        inferencer([folder, folder / 'a.png'], out_dir=str(tmp_path))
    (folder / 'torn.jpg').write_bytes(b'torn')
    with pytest.raises(UserError, match='torn.jpg: it is no image'):
        inferencer(folder)


def test_a_head_of_other_classes_stops_before_the_first_batch(
        data_root, tmp_path):
    changes = {'model.bbox_head.num_classes': 5}
    runner = run(small_run(data_root, tmp_path, **changes))
    with pytest.raises(
            UserError,
            match='bbox_head.num_classes is 5, and'
            '.*4 classes: box, ball, cone, person'):
        runner.train()
    with pytest.raises(UserError, match='bbox_head.num_classes is 5'):
        run(small_run(data_root, tmp_path, **changes)).test()


def test_an_image_that_is_not_there_is_named(data_root, tmp_path):
    changes = {'train_dataloader.dataset.data_prefix.img': 'images/elsewhere'}
    runner = run(small_run(data_root, tmp_path, **changes))
    with pytest.raises(UserError, match='images/elsewhere/00000'):
        runner.train()


@pytest.mark.parametrize('first', [0, 1, 7])
@pytest.mark.parametrize('subset', [4, 2])
def test_perfect_boxes_score_1_for_every_numbering_and_subset(
        first, subset, tmp_path):
    """Objects numbered from anywhere, and images left out."""
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


@pytest.mark.parametrize('part', ['images', 'annotations'])
def test_ids_that_stand_for_two_things_are_named(data_root, part):
    file = data_root / 'annotations' / 'instances_train.json'
    content = json.loads(file.read_text())
    content[part][1]['id'] = content[part][0]['id']
    changed = data_root / 'annotations' / f'{part}_twice.json'
    changed.write_text(json.dumps(content))
    with pytest.raises(UserError, match=f'1 ids of {part} stand for more'):
        CheckedCOCO(str(changed))


BROKEN = {
    'image_id is of no image':
    lambda a, images: a.update(image_id='0'),
    'less than a pixel':
    lambda a, images: a.update(bbox=[v / 64 for v in a['bbox']]),
    'outside of their image':
    lambda a, images: a.update(bbox=[90, 0, 5, 5]),
    'no width or height':
    lambda a, images: images[a['image_id']].update(width=0),
    'of crowds':
    lambda a, images: a.update(iscrowd=1),
}


@pytest.mark.parametrize('reason', BROKEN)
@pytest.mark.parametrize('every', [True, False])
def test_boxes_that_are_left_out_are_counted(data_root, every, reason):
    """With the reason; and refused if none is left."""
    file = data_root / 'annotations' / 'instances_train.json'
    content = json.loads(file.read_text())
    images = {image['id']: image for image in content['images']}
    chosen = [
        a for a in content['annotations']
        if every or a['image_id'] == content['annotations'][0]['image_id']
    ]
    for annotation in chosen:
        BROKEN[reason](annotation, images)
    file = data_root / 'annotations' / 'boxes.json'
    file.write_text(json.dumps(content))
    count = len(content['annotations'])
    expected = f'{len(chosen)} of {count} boxes cannot be used: .*{reason}'
    if every:
        with pytest.raises(UserError, match=expected):
            CheckedCOCO(str(file))
        return
    with patch('glid_mm.datasets.coco.print_log') as log:
        CheckedCOCO(str(file))
    assert re.search(expected, log.call_args.args[0])


def test_the_area_of_a_mask_decides_nothing_about_a_box(data_root):

    def changed(all_annotations):
        return [dict(a, area=0) for a in all_annotations]

    annotations(data_root, annotations=changed)
    data = dataset(data_root)
    path = data_root / 'annotations' / 'instances_train.json'
    count = len(json.loads(path.read_text())['annotations'])
    assert count == sum(
        len(info['instances']) for info in map(data.get_data_info, range(6)))
