"""Folders as other programs write them."""
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as codes

from glid_mm.errors import UserError
from glid_mm.own_data import recognise
from .build import built, content, write_voc

BOX = '0 .5 .5 .2 .2\n'


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes pictures, label maps and texts."""
    monkeypatch.chdir(tmp_path)

    def write(name, value=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, str):
            path.write_text(value)
        elif value is None:
            Image.new('RGB', (32, 24), (10, 200, 30)).save(path)
        else:
            Image.fromarray(np.asarray(value, np.uint8)).save(path)

    return write


def parts(data):
    return {
        split: [sample.picture for sample in part.samples]
        for split, part in data.parts.items()
    }


def coco(files, annotations=()):
    return json.dumps(
        dict(
            images=[
                dict(id=i, file_name=name, width=32, height=24)
                for i, name in enumerate(files)
            ],
            annotations=[
                dict(
                    dict(
                        id=i,
                        image_id=i,
                        category_id=1,
                        bbox=[2, 2, 9, 9],
                        area=81,
                        iscrowd=0), **more)
                for i, more in enumerate(annotations or [{}] * len(files))
            ],
            categories=[dict(id=1, name='cat')]))


def test_paths_with_dots_keep_the_lists_of_a_yaml(write, tmp_path,
                                                  monkeypatch):
    for i in range(6):
        write(f'data/pics/{i}.jpg')
        write(f'data/pics/{i}.txt', BOX)
    for name, numbers in ('train', range(4)), ('val', (4, 5)):
        write(f'data/{name}.txt', ''.join(f'pics/{i}.jpg\n' for i in numbers))
    write('data/data.yaml', 'train: train.txt\nval: val.txt\nnames: [cat]\n')
    (tmp_path / 'work').mkdir()
    monkeypatch.chdir(tmp_path / 'work')
    for folder in '../data', '../data/data.yaml':
        found = recognise(folder, 'detection')
        assert {
            k: len(v)
            for k, v in parts(found).items()
        } == {
            'train': 4,
            'val': 2
        }


@pytest.mark.parametrize('names', [
    ('train_set', 'validation_set', 'test_set'),
    ('training_data', 'val-data', 'data_test'),
    ('Train Split', 'Valid Split', 'Test Split'),
])
def test_words_beside_a_split(write, tmp_path, names):
    for name in names:
        write(f'data/{name}/images/{name}.jpg')
        write(f'data/{name}/labels/{name}.txt', BOX)
    found = parts(recognise('data', 'detection'))
    assert found == {
        split: [f'{name}/images/{name}.jpg']
        for split, name in zip(('train', 'val', 'test'), names)
    }


@pytest.mark.parametrize(
    'val,labels',
    [
        ('val', 'val'),  # beside a folder of images
        ('images/val', 'labels/val'),  # within the one for training
    ])
def test_folders_of_a_yaml(write, val, labels):
    for i in range(6):
        write(f'data/{val if i > 3 else "images"}/{i}.jpg')
        write(f'data/{labels if i > 3 else "labels"}/{i}.txt', BOX)
    write('data/data.yaml', f'train: images\nval: {val}\nnames: [cat]\n')
    found = recognise('data', 'detection')
    assert parts(found)['val'] == [f'{val}/4.jpg', f'{val}/5.jpg']
    assert len(parts(found)['train']) == 4
    assert 'Left out' not in found.describe()


def test_names_of_any_case(write):
    for i in range(3):
        write(f'data/images/{i}.jpg')
        write(f'data/masks/{i}.png', np.full((24, 32), i % 2))
        write(f'boxes/images/{i}.jpg')
        write(f'boxes/labels/{i}.txt', BOX)
    write('data/Classes.JSON', '["road", "tree"]')
    assert recognise('data', 'semantic').classes == ('road', 'tree')
    write('boxes/Data.YAML', 'names: [cat]\n')
    assert recognise('boxes/Data.YAML', 'detection').classes == ('cat', )


def test_most_pictures_of_a_json_are_missing(write):
    for i in range(2):
        write(f'data/images/{i}.jpg')
    write('data/train.json', coco([f'{i}.jpg' for i in range(5)]))
    with pytest.raises(UserError, match='2 of 5 images can be used.*missing'):
        recognise('data', 'detection')


@pytest.mark.parametrize('prefix', ['./', '/home/me/data/', 'C:\\data\\'])
def test_pictures_of_one_name_in_several_folders(write, tmp_path, prefix):
    names = [f'images/{cam}/{i}.jpg' for cam in ('a', 'b') for i in range(3)]
    for name in names:
        write(f'data/{name}')
    write('data/train.json', coco([prefix + name for name in names]))
    found = recognise('data', 'detection')
    assert parts(found) == dict(train=names)
    assert 'Left out' not in found.describe()
    settings = found.prepare(tmp_path / 'run')
    built('detection', settings)


def test_one_json_for_all_pictures(write):
    for i in range(6):
        write(f'data/images/{"val" if i > 3 else "train"}/{i}.jpg')
    write('data/annotations.json', coco([f'{i}.jpg' for i in range(6)]))
    found = recognise('data', 'detection')
    assert len(parts(found)['train']) == 6
    # The JSON of a part does not take the pictures of another.
    (found.root / 'annotations.json').rename(found.root / 'train.json')
    assert len(parts(recognise('data', 'detection'))['train']) == 4


def test_run_length_codes_of_another_size(write):
    for i in range(2):
        write(f'data/images/{i}.jpg')

    def code(height, width):
        one = codes.encode(np.ones((height, width), np.uint8, 'F'))
        return dict(
            segmentation=dict(one, counts=one['counts'].decode()), iscrowd=0)

    write('data/train.json',
          coco(['0.jpg', '1.jpg'], [code(24, 32), code(32, 24)]))
    found = recognise('data', 'instance')
    assert found.parts['train'].total() == {'cat': 1}
    assert '1 box whose mask is not as large as the pic' in found.describe()
    # Boxes do not need the masks.
    assert recognise('data', 'detection').parts['train'].total()['cat'] == 2


def test_validation_without_objects_keeps_unlabelled_pixels(write, tmp_path):
    for i in range(4):
        labels = np.zeros((24, 32))
        labels[:8], labels[-2:] = 1, 255
        write(f'data/images/{i}.jpg')
        write(f'data/masks/{i}.png', labels)
        write(f'empty/images/{i}.jpg')
        write(f'empty/masks/{i}.png', np.where(labels == 1, 0, labels))
    write('data/classes.txt', 'ground\ncrack\n')
    found = recognise('data', 'semantic', val='empty')
    assert found.parts['val'].total() == {'ground': 4 * 22 * 32}
    _, sets = built('semantic', found.prepare(tmp_path / 'run'))
    labels = sets['val'][0]['data_samples'].gt_sem_seg.data.numpy()
    assert set(np.unique(labels)) == {0, 255}
    three = ['ground', 'crack', 'tree']
    found = recognise('empty', 'semantic', classes=three, testing=True)
    assert found.parts['test'].total() == {'ground': 4 * 22 * 32}
    # On its own, white is the only class that these maps can have.
    assert 'so 255 is a class' in recognise('empty', 'semantic').describe()


def test_tests_may_lack_a_class(write, scenes, tmp_path):
    classes = [c['name'] for c in content(scenes, 'train')['categories']]
    voc = write_voc(scenes, tmp_path / 'voc')
    with pytest.raises(UserError, match='has no class dog'):
        recognise(voc, 'detection', classes=[*classes, 'dog'])
    found = recognise(
        voc, 'detection', classes=['dog', *classes], testing=True)
    assert found.classes == ('dog', *classes)
    assert found.parts['test'].total()['dog'] == 0
    for i in range(3):
        write(f'yolo/images/{i}.jpg')
        write(f'yolo/labels/{i}.txt', BOX)
    numbered = ['class_0', 'class_1']
    found = recognise('yolo', 'detection', classes=numbered, testing=True)
    assert found.classes == ('class_0', 'class_1')
    with pytest.raises(UserError, match='has no class cat'):
        recognise('yolo', 'detection', classes=['cat'], testing=True)


def test_depth_with_an_axis_of_one_channel(write, tmp_path):
    for i in range(3):
        write(f'data/rgb/{i}.jpg')
        (tmp_path / 'data/depth').mkdir(exist_ok=True)
        depth = np.full((24, 32, 1), 1. + i, np.float32)
        np.save(tmp_path / f'data/depth/{i}.npy', depth)
    found = recognise('data', 'depth')
    _, sets = built('depth', found.prepare(tmp_path / 'run'))
    assert sets['val'][0]['data_samples'].gt_depth_map.data.max() >= 1
