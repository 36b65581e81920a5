"""Errors name annotations and PNGs that do not fit each other."""
import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, init_default_scope

from glid_mm.errors import UserError
from glid_mm.tasks.panoptic.dataset import (CocoInstanceDataset,
                                            CocoPanopticDataset)
from glid_mm.tasks.panoptic.loading import (LoadPanopticMap, colours,
                                            segment_ids)
from .build import CLASSES, CONFIGS, SCENES, build, changed, config_of


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
    (unknown_category, 'image 2: segment .* has category 99'),
    (unknown_image, 'image 99: the file lists no such image'),
    (same_image, '1 ids of annotations occur more than once'),
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


@pytest.mark.parametrize('kind', SCENES)
def test_the_example_of_own_data_is_sound(kind, data_root):
    """Its pipelines, classes and targets work on Scenes in this layout."""
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
