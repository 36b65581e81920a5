"""Boxes of COCO, VOC and YOLO reach a run unchanged."""
import json
import re
import shutil

import pytest

from glid_mm.errors import UserError
from glid_mm.own_data import recognise
from .build import (boxes, built, content, tree_state, true_boxes, write_voc,
                    write_yolo)


def test_coco_is_read_as_it_lies(scenes, tmp_path):
    before = tree_state(scenes)
    data = recognise(scenes, 'detection')
    text = data.describe()
    assert '6 images for training, 4 for validation' in text
    assert 'All images are 64×64 pixels' in text
    for name in 'box', 'ball', 'cone', 'person':
        assert f'{name} ' in text
    settings = data.prepare(tmp_path / 'run')
    assert settings['train_dataloader.dataset.ann_file'] == str(
        scenes / 'annotations/instances_train.json')
    config, datasets = built('detection', settings)
    assert config.model.bbox_head.num_classes == 4
    for split in 'train', 'val':
        assert boxes(datasets[split]) == true_boxes(scenes, split)
    assert boxes(datasets['test']) == true_boxes(scenes, 'val')
    assert tree_state(scenes) == before


@pytest.mark.parametrize('first', [1, 0])
def test_voc(scenes, tmp_path, first):
    root = write_voc(scenes, tmp_path / 'data', first)
    # Without a box at 0, all coordinates would seem to be counted from 1.
    touching = any(
        min(box[:2]) == 0 for split in ('train', 'val')
        for rows in true_boxes(scenes, split).values() for _, box in rows)
    assert touching
    before = tree_state(root)
    data = recognise(root, 'detection')
    assert ('counted from 1' in data.describe()) == bool(first)
    _, datasets = built('detection', data.prepare(tmp_path / 'run'))
    for split in 'train', 'val':
        assert boxes(datasets[split]) == {
            f'{split}_{name}': rows
            for name, rows in true_boxes(scenes, split).items()
        }
    assert tree_state(root) == before


def test_voc_bad_files_are_left_out_and_named(scenes, tmp_path):
    root = write_voc(scenes, tmp_path / 'data')
    shutil.rmtree(root / 'ImageSets')
    xml = root / 'Annotations/train_000000.xml'
    xml.write_text(xml.read_text()[:60])
    difficult = root / 'Annotations/train_000001.xml'
    difficult.write_text(difficult.read_text().replace('<difficult>0',
                                                       '<difficult>1', 1))
    endless = root / 'Annotations/train_000002.xml'
    endless.write_text(
        re.sub('<xmax>[^<]*', '<xmax>inf', endless.read_text(), count=1))
    (root / 'JPEGImages/alone.jpg').write_bytes(
        (root / 'JPEGImages/train_000000.jpg').read_bytes())
    (root / 'Annotations/lost.xml').write_text('<annotation></annotation>')
    data = recognise(root, 'detection')
    text = data.describe()
    assert '1 XML that cannot be read (Annotations/train_000000.xml' in text
    assert '1 picture without an XML (JPEGImages/alone.jpg)' in text
    assert '1 XML without a picture (Annotations/lost.xml)' in text
    assert '1 box marked as difficult' in text
    assert '1 box that cannot be read' in text
    assert '9 images for training. There is no validation part, so 1' in text
    settings = data.prepare(tmp_path / 'run')
    rows = sum((json.loads(
        (tmp_path / f'run/{split}.json').read_text())['annotations']
                for split in ('train', 'val')), [])
    assert sum(row['iscrowd'] for row in rows) == 1
    built('detection', settings)


def test_names_with_blanks_in_lists_of_voc(scenes, tmp_path):
    root = write_voc(scenes, tmp_path / 'data')
    for old, new in ('000000', 'my cat'), ('000001', 'cat 1'):
        for path in root.rglob(f'train_{old}.*'):
            path.rename(path.with_stem(new))
    # Lists of a class add a number to each name.
    names = root / 'ImageSets/Main/train.txt'
    names.write_text('my cat\ncat 1\ntrain_000002 -1\ntrain_000003  1\n\n')
    data = recognise(root, 'detection')
    assert [s.picture for s in data.parts['train'].samples] == [
        f'JPEGImages/{stem}.jpg'
        for stem in ('cat 1', 'my cat', 'train_000002', 'train_000003')
    ]
    assert '2 pictures that no list in ImageSets names' in data.describe()


def test_yolo(scenes, tmp_path):
    root = write_yolo(scenes, tmp_path / 'data')
    (root / 'labels/train/000000.txt').unlink()
    (root / 'labels/train/lost.txt').write_text('0 .5 .5 .1 .1\n')
    data = recognise(root, 'detection')
    text = data.describe()
    assert '1 image without a label file' in text
    assert '1 label file without a picture (labels/train/lost.txt)' in text
    _, datasets = built('detection', data.prepare(tmp_path / 'run'))
    expected = true_boxes(scenes, 'train')
    assert expected['000000.jpg']
    expected['000000.jpg'] = []
    assert boxes(datasets['train']) == expected
    assert boxes(datasets['val']) == true_boxes(scenes, 'val')
    assert datasets['train'].metainfo['classes'] == ('box', 'ball', 'cone',
                                                     'person')


@pytest.mark.parametrize('shape,points', [('[2, 2]', '.1 .2 .3 .4'),
                                          ('[2, 3]', '.1 .2 1 .3 .4 0'),
                                          ('[1, 3]', '.1 .2 2')])
def test_keypoints_of_yolo(scenes, tmp_path, shape, points):
    """With keypoints, a line may look like a polygon."""
    root = write_yolo(scenes, tmp_path / 'data')
    for path in (root / 'labels').rglob('*.txt'):
        path.write_text(''.join(f'{line} {points}\n'
                                for line in path.read_text().splitlines()))
    with open(root / 'data.yaml', 'a') as file:
        file.write(f'kpt_shape: {shape}\n')
    data = recognise(root, 'detection')
    assert 'Keypoints (kpt_shape) are not used' in data.describe()
    _, datasets = built('detection', data.prepare(tmp_path / 'run'))
    for split in 'train', 'val':
        assert boxes(datasets[split]) == true_boxes(scenes, split)
    with pytest.raises(
            UserError,
            match='kpt_shape in the YAML, they have keypoints.*'
            'fits the task detection or pretrain'):
        recognise(root, 'instance')


def roboflow(root):
    for split, name in ('train', 'train'), ('val', 'valid'):
        (root / name).mkdir()
        (root / 'images' / split).rename(root / name / 'images')
        (root / 'labels' / split).rename(root / name / 'labels')
    (root / 'data.yaml').write_text(
        'train: ../train/images\nval: ../valid/images\n'
        'nc: 4\nnames: [box, ball, cone, person]\n')


def lists(root):
    """Lists of images; both parts have images of the same names."""
    text = (root / 'data.yaml').read_text()
    for split in 'train', 'val':
        (root / f'{split}.txt').write_text(''.join(
            f'./images/{split}/{path.name}\n'
            for path in sorted((root / 'images' / split).iterdir())))
        text = text.replace(f'images/{split}', f'{split}.txt')
    (root / 'data.yaml').write_text(text)


def without_yaml(root):
    (root / 'data.yaml').unlink()
    (root / 'labels/classes.txt').write_text('box\nball\ncone\nperson\n')


def side_by_side(root):
    without_yaml(root)
    for split in 'train', 'val':
        for path in (root / 'labels' / split).iterdir():
            path.rename(root / 'images' / split / path.name)


@pytest.mark.parametrize('change',
                         [roboflow, lists, without_yaml, side_by_side])
def test_layouts_of_yolo(scenes, tmp_path, change):
    root = write_yolo(scenes, tmp_path / 'data')
    change(root)
    data = recognise(root, 'detection')
    assert data.classes == ('box', 'ball', 'cone', 'person')
    assert {
        k: len(part.samples)
        for k, part in data.parts.items()
    } == dict(
        train=6, val=4)
    assert not data.left_out
    for split in 'train', 'val':
        found = [s.counts.total() for s in data.parts[split].samples]
        assert found == [
            len(rows) for rows in true_boxes(scenes, split).values()
        ]


def test_layouts_of_coco(scenes, tmp_path):
    """Roboflow's layout: a file next to the images, and a root category."""
    root = tmp_path / 'data'
    for split, name in ('train', 'train'), ('val', 'valid'):
        shutil.copytree(scenes / 'images' / split, root / name)
        file = content(scenes, split)
        for category in file['categories']:
            category['supercategory'] = 'things'
        file['categories'].insert(
            0, dict(id=0, name='things', supercategory='none'))
        for one in file['annotations']:
            del one['area'], one['iscrowd']
        for image in file['images']:
            del image['width']
        (root / name / '_annotations.coco.json').write_text(json.dumps(file))
    data = recognise(root, 'detection')
    assert data.classes == ('box', 'ball', 'cone', 'person')
    _, datasets = built('detection', data.prepare(tmp_path / 'run'))
    for split in 'train', 'val':
        assert boxes(datasets[split]) == true_boxes(scenes, split)


@pytest.mark.parametrize('write', [lambda scenes, out: scenes, write_yolo])
def test_some_classes_in_another_order(scenes, tmp_path, write):
    root = write(scenes, tmp_path / 'data')
    data = recognise(root, 'detection', classes=['person', 'ball'])
    assert 'of classes that were not chosen' in data.describe()
    _, datasets = built('detection', data.prepare(tmp_path / 'run'))
    assert datasets['train'].metainfo['classes'] == ('person', 'ball')
    assert boxes(datasets['train']) == {
        name: [row for row in rows if row[0] in ('ball', 'person')]
        for name, rows in true_boxes(scenes, 'train').items()
    }


def test_what_is_wrong_in_coco_is_said(scenes, tmp_path):
    """A truncated image, a missing, a wrongly sized and an unlisted one."""
    root = tmp_path / 'data'
    shutil.copytree(scenes, root)
    folder = root / 'images/train'
    whole = (folder / '000000.jpg').read_bytes()
    (folder / '000000.jpg').write_bytes(whole[:len(whole) // 2])
    (folder / '000001.jpg').unlink()
    path = root / 'annotations/instances_train.json'
    file = json.loads(path.read_text())
    file['images'][2]['width'] = 100
    path.write_text(json.dumps(file))
    (folder / 'more.jpg').write_bytes(whole)
    text = (data := recognise(root, 'detection')).describe()
    assert '3 images for training' in text
    assert ('1 picture that cannot be read (images/train/000000.jpg: image '
            'file is truncated') in text
    assert '1 image whose picture is missing (000001.jpg)' in text
    assert 'images/train/000002.jpg: 64×64 instead of 100×64' in text
    assert ('1 picture that no annotation file lists (images/train/more.jpg)'
            in text)
    _, datasets = built('detection', data.prepare(tmp_path / 'run'))
    expected = true_boxes(scenes, 'train')
    for i in range(3):
        del expected[f'00000{i}.jpg']
    assert boxes(datasets['train']) == expected


def test_a_file_that_is_named_and_a_part_for_testing(scenes, tmp_path):
    """Parts have images of the same names; folder names tell them apart."""
    root = tmp_path / 'data'
    shutil.copytree(scenes, root)
    (root / 'images/train/000001.jpg').unlink()
    (root / 'images/train/000002.jpg').unlink()
    (root / 'images/train/000003.jpg').unlink()
    val = recognise(root / 'annotations/instances_val.json', 'detection')
    assert {s.picture
            for s in val.parts['train'].samples
            } == {f'images/val/00000{i}.jpg'
                  for i in range(4)}
    (root / 'images/val').rename(root / 'images/test')
    (root / 'annotations/instances_val.json').rename(
        root / 'annotations/instances_test.json')
    data = recognise(root, 'detection')
    assert {s.picture
            for s in data.parts['train'].samples
            } == {f'images/train/00000{i}.jpg'
                  for i in (0, 4, 5)}
    assert '3 images for training, 4 for testing' in data.describe()
    _, datasets = built('detection', data.prepare(tmp_path / 'run'))
    assert boxes(datasets['test']) == true_boxes(scenes, 'val')
    assert [len(datasets[s]) for s in ('train', 'val')] == [2, 1]


def test_parts_do_not_mix(scenes, tmp_path):
    """An image without labels does not get the labels of another part."""
    root = write_yolo(scenes, tmp_path / 'data')
    (root / 'data.yaml').unlink()
    shutil.rmtree(root / 'labels/val')
    data = recognise(root, 'detection')
    assert '4 images without a label file' in data.describe()
    assert not any(s.counts for s in data.parts['val'].samples)
