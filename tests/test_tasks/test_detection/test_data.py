"""Errors name annotations that do not fit the config."""
import json
import re
from unittest.mock import patch

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from glid_mm.errors import UserError
from glid_mm.tasks.detection import CocoDataset
from glid_mm.tasks.detection.coco_dataset import CheckedCOCO
from ...nano import detector
from .build import CONFIGS


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
    (('person', 'box', 'ball', 'cone'), 'in the order of the file'),
    ('box', r"the string 'box'.*\('box',\)"),
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
            match='1 annotations have a category.*annotation 3 of image '
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


@pytest.mark.parametrize('part', ['images', 'annotations'])
def test_ids_that_stand_for_two_things_are_named(data_root, part):
    file = data_root / 'annotations' / 'instances_train.json'
    content = json.loads(file.read_text())
    content[part][1]['id'] = content[part][0]['id']
    changed = data_root / 'annotations' / f'{part}_twice.json'
    changed.write_text(json.dumps(content))
    with pytest.raises(UserError, match=f'1 ids of {part} occur more'):
        CheckedCOCO(str(changed))


BROKEN = {
    'not list the image of their image_id':
    lambda a, images: a.update(image_id='0'),
    'less than a pixel':
    lambda a, images: a.update(bbox=[v / 64 for v in a['bbox']]),
    'outside their image':
    lambda a, images: a.update(bbox=[90, 0, 5, 5]),
    'no width or height':
    lambda a, images: images[a['image_id']].update(width=0),
    'mark crowds':
    lambda a, images: a.update(iscrowd=1),
}


@pytest.mark.parametrize('reason', BROKEN)
@pytest.mark.parametrize('every', [True, False])
def test_boxes_that_are_left_out_are_counted(data_root, every, reason):
    """The log gives the reason; an error follows if no box is left."""
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
