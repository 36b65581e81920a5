import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.evaluation import INSTANCE_OFFSET
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import (DATASETS, METRICS, MODELS, RUNNERS,
                               init_default_scope)

from glid_mm.engine.hooks.class_check_hook import ClassCheckHook
from glid_mm.errors import UserError
from glid_mm.scenes import render_scene, write_scenes
from glid_mm.tasks.panoptic import PanopticHead
from glid_mm.tasks.panoptic.dataset import (CocoInstanceDataset,
                                            CocoPanopticDataset)
from glid_mm.tasks.panoptic.loading import (LoadPanopticMap, colours,
                                            segment_ids)
from glid_mm.tasks.panoptic.quality import count_segments, qualities
from ..nano import short_run

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SCENES = {
    kind: f'{kind}/glid_nano_1xb16-7k_scenes-{kind}-128x128.py'
    for kind in ('instance', 'panoptic')
}
CLASSES = ('box', 'ball', 'cone', 'person', 'sky', 'wall', 'ground')


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('scenes') / 'data'
    write_scenes(root, train=8, val=2, unlabelled=0, size=64, seed=0)
    return root


def config_of(kind, data_root, work_dir='unused', **changes):
    """A tiny model on images of 64 pixels as they are."""
    config = short_run(CONFIGS / SCENES[kind], data_root, work_dir, **{
        'model.train_cfg.num_points': 512,
        **changes
    })
    for split in ('train', 'val', 'test'):
        settings = config[f'{split}_dataloader'].dataset
        settings.pipeline = [
            step for step in settings.pipeline if step.type not in ('Resize', )
        ]
    for evaluator in (config.val_evaluator, config.test_evaluator):
        if 'ann_file' in evaluator:
            evaluator.ann_file = str(data_root /
                                     'annotations/instances_val.json')
    return config


def build(config):
    """Model, and the training images without augmentation."""
    __import__('glid_mm.tasks.panoptic')
    init_default_scope('mmdet')
    settings = config.train_dataloader.dataset
    settings.pipeline = [
        step for step in settings.pipeline if step.type != 'RandomFlip'
    ]
    return MODELS.build(config.model), DATASETS.build(settings)


# Panoptic quality


def slow_counts(guess, truth, num_classes):
    """COCO's evaluation, segment by segment, from the definition."""

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
        # Three classes, objects 0 to 2, void, crowds; blocks, and errors.
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
    """Of maps without void and crowds, where rules do not differ."""
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
        # As it should be.
        ([THING, THING, STUFF], [THING, THING, STUFF], [[1, 0, 1], [1, 0, 1],
                                                        [0] * 3, [0] * 3]),
        # The class is wrong.
        ([THING, THING], [OTHER, OTHER], [[0] * 3, [0] * 3, [0, 1, 0],
                                          [1, 0, 0]]),
        # An IoU of a half is none.
        ([THING, THING, STUFF], [THING, STUFF, STUFF], [[0] * 3, [0] * 3,
                                                        [1, 0, 1], [1, 0, 1]]),
        # Void pixels do not count in the union ...
        ([THING, VOID, VOID], [THING, THING, THING], [[1, 0, 0], [1, 0, 0],
                                                      [0] * 3, [0] * 3]),
        # ... nor is a segment a mistake of which more than half is void,
        ([STUFF, VOID, VOID], [OTHER, OTHER, OTHER], [[0] * 3, [0] * 3,
                                                      [0] * 3, [0, 0, 1]]),
        # which exactly a half is not.
        ([STUFF, VOID], [OTHER, OTHER], [[0] * 3, [0] * 3, [0, 1, 0],
                                         [0, 0, 1]]),
        # The same with a crowd of the class, which nobody can miss,
        ([STUFF, -999, -999], [OTHER] * 3, [[0] * 3, [0] * 3, [0] * 3,
                                            [0, 0, 1]]),
        # not with one of another, nor is it a match.
        ([STUFF, -1000, -1000], [OTHER] * 3, [[0] * 3, [0] * 3, [0, 1, 0],
                                              [0, 0, 1]]),
        ([-999, -999], [OTHER, VOID], [[0] * 3, [0] * 3, [0] * 3, [0] * 3]),
        # Nothing predicted, nothing there.
        ([STUFF, STUFF], [VOID, VOID], [[0] * 3, [0] * 3, [0] * 3, [0, 0, 1]]),
        ([VOID, VOID], [VOID, VOID], [[0] * 3] * 4),
    ])
def test_rules_of_coco(truth, guess, counts):
    found = count_segments(np.array([guess]), np.array([truth]), 3)
    assert found.tolist() == counts


def test_qualities_of_classes():
    # Two matches, one mistake, one miss; only a miss; only a mistake; none.
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
    # What is written is what was read.
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


# Ground truth


def test_ids_are_colours_and_back():
    ids = np.array([[0, 1, 255, 256, 65536, 256**3 - 1]])
    assert colours(ids)[0, 3].tolist() == [0, 1, 0]
    assert (segment_ids(colours(ids)) == ids).all()


def test_scenes_become_targets_pixel_by_pixel(data_root):
    """Of both kinds, from files through the pipelines to the head."""
    for kind in ('instance', 'panoptic'):
        model, dataset = build(config_of(kind, data_root))
        data = model.data_preprocessor(
            pseudo_collate([dataset[i] for i in range(3)]), True)
        assert data['inputs'].shape == (3, 3, 64, 64)
        head = model.panoptic_head
        targets = (head.instances if kind == 'instance' else head.segments)(
            data['data_samples'], (72, 80))
        assert targets.sizes == [(64, 64)] * 3
        assert targets.known[:, :64, :64].all()
        assert targets.known.sum() == 3 * 64 * 64
        place = 0
        for index, count in enumerate(targets.counts):
            scene = render_scene(0, 'train', index, 64)
            expected = [(instance.label, scene.instance == number)
                        for number, instance in enumerate(scene.instances, 1)]
            if kind == 'panoptic':
                expected += [(label, scene.semantic == label)
                             for label in range(4, 7)
                             if (scene.semantic == label).any()]
            own = slice(place, place + count)
            place += count
            assert targets.masks[own].shape == (count, 72, 80)
            found = [(label, mask[:64, :64].numpy().tobytes()) for label, mask
                     in zip(targets.labels[own].tolist(), targets.masks[own])]
            assert sorted(found) == sorted(
                (label, mask.tobytes()) for label, mask in expected)
            assert not targets.masks[own][:, 64:].any()


def test_crowds_are_not_known_but_for_objects_in_them(data_root, tmp_path):
    path = data_root / 'annotations' / 'instances_train.json'
    content = json.loads(path.read_text())
    first = [a for a in content['annotations'] if a['image_id'] == 0]
    # All of the image, of which the first object has a mask of its own.
    crowd = dict(first[0], id=10**6, iscrowd=1, bbox=[0, 0, 64, 64])
    crowd['segmentation'] = dict(size=[64, 64], counts=[0, 64 * 64])
    content['annotations'] = [first[0], crowd]
    (tmp_path / 'crowd.json').write_text(json.dumps(content))
    config = config_of('instance', data_root)
    config.train_dataloader.dataset.ann_file = str(tmp_path / 'crowd.json')
    model, dataset = build(config)
    data = model.data_preprocessor(pseudo_collate([dataset[0]]), True)
    targets = model.panoptic_head.instances(data['data_samples'], (64, 64))
    assert targets.counts == [1]
    assert torch.equal(targets.known[0], targets.masks[0])


def test_void_and_crowds_of_panoptic_maps_are_not_known(data_root):
    model, dataset = build(config_of('panoptic', data_root))
    info = dataset.get_data_info(0)
    wall, = (s for s in info['segments_info'] if s['category'] == 5)
    thing = next(s for s in info['segments_info'] if s['is_thing'])
    info['segments_info'] = [
        dict(s, iscrowd=s is thing) for s in info['segments_info']
    ]
    loaded = dataset.pipeline(info)
    png = cv2.imread(info['seg_map_path'])[..., ::-1]
    crowd = segment_ids(png) == thing['id']
    codes = loaded['data_samples'].gt_panoptic_seg.sem_seg[0].numpy()
    assert (codes[crowd] == thing['category'] - INSTANCE_OFFSET).all()
    assert (codes[segment_ids(png) == wall['id']] == 5).all()
    # Black is void.
    codes[:10] = 7
    data = model.data_preprocessor(pseudo_collate([loaded]), True)
    targets = model.panoptic_head.segments(data['data_samples'], (64, 64))
    known = targets.known[0].numpy()
    assert not known[:10].any() and not known[crowd].any()
    assert known[10:][~crowd[10:]].all()
    assert len(targets.labels) == len(info['segments_info']) - 1


def test_objects_that_were_cropped_away_are_left_out(data_root):
    model, dataset = build(config_of('instance', data_root))
    data = model.data_preprocessor(
        pseudo_collate([dataset[0], dataset[1]]), True)
    whole = model.panoptic_head.instances(data['data_samples'], (64, 64))
    data['data_samples'][0].gt_instances.masks.masks[0] = 0
    less = model.panoptic_head.instances(data['data_samples'], (64, 64))
    assert less.counts == [whole.counts[0] - 1, whole.counts[1]]
    assert torch.equal(less.masks, whole.masks[1:])
    assert torch.equal(less.labels, whole.labels[1:])


# The model


@pytest.mark.slow
def test_images_are_over_fitted(data_root):
    """Panoptic maps, and the instances that the same model tells."""
    torch.manual_seed(0)
    config = config_of('panoptic', data_root)
    config.model.test_cfg.update(instance_on=True, panoptic_on=True)
    model, dataset = build(config)
    data = model.data_preprocessor(
        pseudo_collate([dataset[i] for i in range(4)]), True)
    steps = 60
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, steps)
    for _ in range(steps):
        losses = model(**data, mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.)
        optimizer.step()
        schedule.step()
    model.eval()
    file = str(data_root / 'annotations/instances_train.json')
    metrics = [
        METRICS.build(metric) for metric in (
            dict(type='glid_mm.PanopticMetric'),
            dict(type='glid_mm.CocoMetric', ann_file=file, metric='segm'))
    ]
    metrics[0].dataset_meta = dataset.metainfo
    metrics[1].dataset_meta = dict(classes=CLASSES[:4])
    with torch.no_grad():
        answers = model.test_step(
            pseudo_collate([dataset[i] for i in range(4)]))
    for metric in metrics:
        metric.process({}, [answer.to_dict() for answer in answers])
    quality, precision = (metric.evaluate(4) for metric in metrics)
    assert quality['coco_panoptic/PQ'] >= 85
    assert precision['coco/segm_mAP_50'] >= .9


@pytest.mark.parametrize('kind', SCENES)
def test_an_image_answers_alone_as_in_a_padded_batch(kind, data_root):
    model, dataset = build(config_of(kind, data_root))
    model.eval().test_cfg.object_mask_thr = 0.
    model.panoptic_fusion_head.test_cfg.object_mask_thr = 0.
    image = torch.randint(0, 255, (3, 50, 62), dtype=torch.uint8)
    large = torch.randint(0, 255, (3, 90, 70), dtype=torch.uint8)

    def ask(*images):
        samples = [
            DetDataSample(
                metainfo=dict(
                    img_shape=i.shape[1:], ori_shape=(25,
                                                      31), scale_factor=2.))
            for i in images
        ]
        with torch.no_grad():
            return model.test_step(
                dict(inputs=list(images), data_samples=samples))

    alone, together = ask(image)[0], ask(image, large)[0]
    if kind == 'instance':
        one, other = alone.pred_instances, together.pred_instances
        assert one.masks.shape == (100, 25, 31)
        order, rank = one.scores.argsort(), other.scores.argsort()
        assert torch.allclose(one.scores[order], other.scores[rank], atol=1e-4)
        assert 'pred_panoptic_seg' not in alone
    else:
        one, other = (x.pred_panoptic_seg.sem_seg for x in (alone, together))
        assert one.shape == (1, 25, 31)
        assert (one == other).float().mean() > .98
        assert 'pred_instances' not in alone


def test_only_the_last_layer_answers(data_root):
    model, _ = build(config_of('panoptic', data_root))
    asked = []
    model.panoptic_head.mask_embed.register_forward_hook(
        lambda module, args, _: asked.append(args[0].shape[0]))
    sample = DetDataSample(
        metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64)))
    with torch.no_grad():
        model.eval().test_step(
            dict(inputs=[torch.zeros(3, 64, 64)], data_samples=[sample]))
    assert asked == [1]


@pytest.mark.slow
@pytest.mark.parametrize('kind', SCENES)
def test_training_evaluation_overlays_and_inferencer(kind, data_root,
                                                     tmp_path):
    from glid_mm.tasks.detection import DetInferencer
    config = config_of(kind, data_root, tmp_path / 'run')
    config.default_hooks.checkpoint.interval = 1
    config.default_hooks.visualization.update(
        draw=True, test_out_dir='pictures')
    runner = RUNNERS.build(config)
    runner.train()
    name = 'coco_panoptic/PQ' if kind == 'panoptic' else 'coco/segm_mAP_50'
    metrics = runner.test()
    assert 0 <= metrics[name] <= 100
    assert len(list((tmp_path / 'run').rglob('pictures/*.jpg'))) == 2
    checkpoint, = (tmp_path / 'run').glob('iter_1.pth')
    inferencer = DetInferencer(
        config, str(checkpoint), device='cpu', show_progress=False)
    image = str(data_root / 'images/val/000000.jpg')
    inferencer(image, out_dir=str(tmp_path / 'out'), no_save_pred=False)
    assert (tmp_path / 'out/vis/000000.jpg').exists()
    saved = json.loads((tmp_path / 'out/preds/000000.json').read_text())
    if kind == 'instance':
        assert len(saved['masks']) == len(saved['scores']) == 100
    else:
        png = cv2.imread(saved['panoptic_seg_path'])
        assert png.shape == (64, 64, 3)


# What does not fit


def instances(root, file, classes=CLASSES[:4]):
    return CocoInstanceDataset(
        data_root=str(root),
        ann_file=str(file),
        data_prefix=dict(img='images/train'),
        metainfo=dict(classes=classes),
        pipeline=[])


def segments(root, file, classes=CLASSES, pipeline=()):
    return CocoPanopticDataset(
        data_root=str(root),
        ann_file=str(file),
        data_prefix=dict(img='images/train', seg='panoptic_train'),
        metainfo=dict(classes=classes),
        pipeline=list(pipeline))


def changed(data_root, tmp_path, name, change):
    content = json.loads(
        (data_root / 'annotations' / f'{name}_train.json').read_text())
    change(content)
    path = tmp_path / 'changed.json'
    path.write_text(json.dumps(content))
    return path


def test_instances_without_masks_are_named(data_root, tmp_path):
    path = changed(data_root, tmp_path, 'instances',
                   lambda c: c['annotations'][3].pop('segmentation'))
    with pytest.raises(UserError, match="1 of .* have no 'segmentation'"):
        instances(data_root, path)


def test_a_pipeline_without_masks_says_so(data_root):
    config = config_of('instance', data_root)
    config.train_dataloader.dataset.pipeline[1].with_mask = False
    model, dataset = build(config)
    data = model.data_preprocessor(pseudo_collate([dataset[0]]), True)
    with pytest.raises(UserError, match='with_mask=True'):
        model(**data, mode='loss')


def drop(part, index, key):
    return lambda content: content[part][index].pop(key)


def unknown_category(content):
    content['annotations'][2]['segments_info'][0]['category_id'] = 99


def unknown_image(content):
    content['annotations'][2]['image_id'] = 99


def same_image(content):
    content['annotations'][2]['image_id'] = 1


@pytest.mark.parametrize('change,message', [
    (drop('categories', 1, 'isthing'), "1 of 7 categories have no 'isthing'"),
    (drop('annotations', 2, 'file_name'), "annotations have no 'file_name'"),
    (lambda c: c['annotations'][1]['segments_info'][0].pop('id'),
     'image 1: the segment .* needs "id"'),
    (unknown_category, 'image 2: segment .* of category 99'),
    (unknown_image, 'image 99: the file lists no such image'),
    (same_image, '1 ids of annotations stand for more than one'),
    (lambda c: c['annotations'].pop(), '1 of 8 images have no annotation'),
    (lambda c: c.pop('categories'), "no 'categories'"),
])
def test_panoptic_annotations_that_are_not_in_order_are_named(
        data_root, tmp_path, change, message):
    path = changed(data_root, tmp_path, 'panoptic', change)
    with pytest.raises(UserError, match=message):
        segments(data_root, path)


def test_things_come_first_whatever_the_order_of_the_file(data_root, tmp_path):
    path = changed(data_root, tmp_path, 'panoptic',
                   lambda c: c['categories'].reverse())
    things, stuff = CLASSES[3::-1], CLASSES[:3:-1]
    dataset = segments(data_root, path, things + stuff)
    assert dataset.metainfo['thing_classes'] == things
    assert dataset.metainfo['stuff_classes'] == stuff
    names = {
        dataset.metainfo['classes'][s['category']]: s['is_thing']
        for i in range(len(dataset))
        for s in dataset.get_data_info(i)['segments_info']
    }
    assert names == {name: name in things for name in CLASSES}
    with pytest.raises(
            UserError,
            match='num_things_classes=4 and num_stuff_classes=3 .* things'):
        segments(data_root, path)


def test_pngs_that_do_not_fit_are_named(data_root, tmp_path):
    path = data_root / 'annotations/panoptic_train.json'
    dataset = segments(data_root, path)
    info = dict(dataset.get_data_info(0), ori_shape=(64, 64))
    load = LoadPanopticMap()
    with pytest.raises(
            UserError,
            match='panoptic PNG .*none.png .*000000.jpg'
            ' cannot be read.*data_prefix.seg'):
        load(dict(info, seg_map_path=str(tmp_path / 'none.png')))
    (tmp_path / 'broken.png').write_bytes(b'PNG')
    with pytest.raises(UserError, match='broken.png .* cannot be read'):
        load(dict(info, seg_map_path=str(tmp_path / 'broken.png')))
    with pytest.raises(UserError, match='is 64×64 .* is 32×64'):
        load(dict(info, ori_shape=(32, 64)))
    less = dict(info, segments_info=info['segments_info'][1:])
    area = (segment_ids(cv2.imread(
        info['seg_map_path'])[..., ::-1]) == info['segments_info'][0]['id']
            ).sum()
    with pytest.raises(
            UserError,
            match=f'{area} pixels .* ids such as '
            f'{info["segments_info"][0]["id"]} that are not in'):
        load(less)


def test_more_segments_than_a_byte_holds(tmp_path):
    ids = np.arange(1, 401).reshape(20, 20)
    cv2.imwrite(str(tmp_path / 'many.png'), colours(ids)[..., ::-1])
    rows = [
        dict(id=int(i), category=0, is_thing=True, iscrowd=False)
        for i in ids.ravel()
    ]
    loaded = LoadPanopticMap()(
        dict(
            seg_map_path=str(tmp_path / 'many.png'),
            segments_info=rows,
            num_classes=1,
            ori_shape=(20, 20)))
    assert (loaded['gt_seg_map'] == ids).all()
    assert (loaded['segment_codes'][1:] == 1000 * ids.ravel()).all()


@pytest.mark.parametrize('kind,things,message', [
    ('panoptic', 5, 'panoptic_head.num_things_classes is 5 and panoptic_head.'
     'num_stuff_classes is 2, .* 4 things and 3 stuff: box.* Set model.'
     'panoptic_head.num_things_classes=4 and .*num_stuff_classes=3'),
    ('instance', 3, 'panoptic_head.num_things_classes is 3 .* has 4 classes: '
     'box, .*num_things_classes=4'),
])
def test_a_head_of_other_things_is_refused(kind, things, message, data_root):
    config = config_of(kind, data_root)
    config.model.panoptic_head.num_things_classes = things
    if kind == 'panoptic':
        config.model.panoptic_head.num_stuff_classes = 7 - things
    with pytest.raises(UserError, match=message):
        ClassCheckHook().check(*build(config))
    config.model.panoptic_head.update(
        num_things_classes=4, num_stuff_classes=3 if kind == 'panoptic' else 0)
    ClassCheckHook().check(*build(config))


@pytest.mark.parametrize('kind', SCENES)
def test_images_that_show_nothing_train(kind, data_root, tmp_path):

    def clear(content):
        if kind == 'instance':
            content['annotations'] = content['annotations'][:1]
        for row in content['annotations']:
            row['segments_info'] = []

    name = dict(instance='instances', panoptic='panoptic')[kind]
    config = config_of(kind, data_root)
    settings = config.train_dataloader.dataset
    settings.ann_file = str(changed(data_root, tmp_path, name, clear))
    if kind == 'panoptic':
        # All of them are void.
        settings.data_prefix.seg = str(tmp_path)
        for index in range(8):
            cv2.imwrite(
                str(tmp_path / f'{index:06d}.png'),
                np.zeros((64, 64, 3), np.uint8))
    model, dataset = build(config)
    data = model.data_preprocessor(
        pseudo_collate([dataset[1], dataset[2]]), True)
    total = sum(model(**data, mode='loss').values())
    total.backward()
    assert total.isfinite()
    weight = model.panoptic_head.cls_embed.weight
    assert weight.grad.abs().sum() > 0


def test_more_instances_than_scores_are_refused(data_root):
    config = config_of('instance', data_root)
    config.model.test_cfg.max_per_image = 201
    with pytest.raises(UserError, match='max_per_image=201 .* 200 scores'):
        build(config)


@pytest.mark.parametrize('kind', SCENES)
def test_the_example_of_own_data(kind, data_root):
    """Its pipelines, classes and targets, on Scenes laid out like that."""
    config = Config.fromfile(CONFIGS / kind /
                             f'glid_swin-b_8xb2-40k_custom-{kind}-640x640.py')
    __import__('glid_mm.tasks.panoptic')
    init_default_scope('mmdet')
    name = dict(instance='instances', panoptic='panoptic')[kind]
    for split, folder in ('train', 'train'), ('test', 'val'):
        settings = config[f'{split}_dataloader'].dataset
        settings.update(
            data_root=str(data_root),
            ann_file=f'annotations/{name}_{folder}.json',
            metainfo=dict(
                classes=CLASSES[:4] if kind == 'instance' else CLASSES))
        settings.data_prefix = dict(
            img=f'images/{folder}', seg=f'panoptic_{folder}')
        sample = DATASETS.build(settings)[0]
        assert max(sample['inputs'].shape[1:]) <= 640
        sample = sample['data_samples']
        assert len(sample.gt_instances) > 0
        if split == 'test' and kind == 'panoptic':
            assert sample.gt_panoptic_seg.sem_seg.shape == (1, 64, 64)


@pytest.mark.parametrize('kind', SCENES)
def test_jittered_images_of_coco_are_padded_to_one_shape(kind, data_root):
    config = Config.fromfile(CONFIGS / kind /
                             f'glid_swin-b_8xb2-lsj-50e_coco-{kind}.py')
    __import__('glid_mm.tasks.panoptic')
    init_default_scope('mmdet')
    settings = config.train_dataloader.dataset
    scenes = Config.fromfile(CONFIGS / SCENES[kind]).train_dataloader.dataset
    for key in ('ann_file', 'data_prefix', 'metainfo'):
        settings[key] = scenes[key]
    settings.data_root = str(data_root)
    dataset = DATASETS.build(settings)
    np.random.seed(0)
    data = MODELS.build(config.model.data_preprocessor)(pseudo_collate(
        [dataset[0], dataset[1]]), True)
    assert data['inputs'].shape == (2, 3, 1024, 1024)
    head = PanopticHead(4, 3, in_channels=8, mask_channels=8)
    targets = (head.instances if kind == 'instance' else head.segments)(
        data['data_samples'], (1024, 1024))
    for known, (height, width) in zip(targets.known, targets.sizes):
        assert known[:height, :width].all()
        assert known.sum() == height * width
    assert not targets.known.all()
    assert sum(targets.counts) == len(targets.masks) > 0
    assert targets.masks.any((1, 2)).all()
