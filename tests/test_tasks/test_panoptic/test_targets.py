"""Targets equal the annotations, pixel by pixel."""
import json

import cv2
import numpy as np
import pytest
import torch
from mmdet.evaluation import INSTANCE_OFFSET
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, init_default_scope

from glid_mm.scenes import render_scene
from glid_mm.tasks.panoptic import PanopticHead
from glid_mm.tasks.panoptic.loading import (PackPanopticInputs, colours,
                                            segment_ids)
from .build import CONFIGS, SCENES, build, config_of


def test_ids_are_colours_and_back():
    ids = np.array([[0, 1, 255, 256, 65536, 256**3 - 1]])
    assert colours(ids)[0, 3].tolist() == [0, 1, 0]
    assert (segment_ids(colours(ids)) == ids).all()


def test_scenes_become_targets_pixel_by_pixel(data_root):
    """Instance and panoptic targets, from the files to the head."""
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
    # A crowd over the whole image; the first object has its own mask.
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
    # The first rows become void.
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


def test_segments_of_one_kind_of_stuff_are_one_target():
    numbers = np.repeat([[1], [1], [2], [3]], 4, 1).astype(np.uint8)
    packed = PackPanopticInputs(meta_keys=('img_shape', )).transform(
        dict(
            img=np.zeros((4, 4, 3), np.uint8),
            img_shape=(4, 4),
            gt_seg_map=numbers,
            # Void, two segments of class 5, and a thing of class 0.
            segment_codes=np.array([7, 5, 5, INSTANCE_OFFSET], np.int32),
            num_classes=7))
    found = packed['data_samples'].gt_instances
    assert found.codes.tolist() == [5, INSTANCE_OFFSET]
    assert found.labels.tolist() == [5, 0]
