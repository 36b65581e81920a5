"""Masks of all formats reach a run unchanged."""
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from glid_mm.errors import UserError
from glid_mm.own_data import masks, recognise
from .build import (built, content, rows_of, tree_state, write_masks,
                    write_voc, write_yolo)

COLOURS = np.array([[i * 40, 255 - i * 30, i] for i in range(7)], np.uint8)
LABELMAP = '# label:color_rgb:parts:actions\n' + ''.join(
    f'thing {i}:{r},{g},{b}::\n' for i, (r, g, b) in enumerate(COLOURS))


def truth(scenes, name, split='train'):
    return np.array(Image.open(scenes / f'semantic_{split}/{name}.png'))


def label_maps(dataset):
    """The label maps that a data set reads, by the image's stem."""
    loading = dataset.pipeline.transforms[1]
    if not hasattr(loading, 'read'):
        loading = dataset.pipeline.transforms[2]
    found = {}
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        stem = info['img_path'].rpartition('/')[2].partition('.')[0]
        found[stem] = loading.read(info['seg_map_path'])
    return found


def test_label_maps_in_folders(scenes, tmp_path):
    before = tree_state(scenes)
    data = recognise(scenes, 'semantic')
    text = data.describe()
    assert '6 images for training, 4 for validation' in text
    assert '2 pictures without a label map (images/unlabelled' in text
    assert '7 classes by share of pixels in 10 label maps' in text
    config, datasets = built('semantic', data.prepare(tmp_path / 'run'))
    assert config.model.decode_head.num_classes == 7
    for split in 'train', 'val':
        maps = label_maps(datasets[split])
        assert len(maps) == dict(train=6, val=4)[split]
        for stem, labels in maps.items():
            assert np.array_equal(labels, truth(scenes, stem, split))
    assert tree_state(scenes) == before


def palette(labels):
    image = Image.fromarray(labels, 'P')
    image.putpalette(COLOURS.tobytes())
    return np.asarray(image.convert('RGB'))


@pytest.mark.parametrize('change', [lambda labels: COLOURS[labels], palette])
def test_colours_become_numbers(scenes, tmp_path, change):
    root = write_masks(scenes, tmp_path / 'data', change, '_mask')
    with pytest.raises(UserError, match='3 channels.*labelmap.txt'):
        recognise(root, 'semantic')
    (root / 'labelmap.txt').write_text(LABELMAP)
    before = tree_state(root)
    data = recognise(root, 'semantic')
    assert data.classes == tuple(f'thing {i}' for i in range(7))
    assert 'labelmap.txt defines the colours' in data.describe()
    run = tmp_path / 'run'
    _, datasets = built('semantic', data.prepare(run))
    maps = label_maps(datasets['train']) | label_maps(datasets['val'])
    assert len(maps) == 6 and len(datasets['val']) == 1
    for stem, labels in maps.items():
        assert np.array_equal(labels, truth(scenes, stem))
    assert tree_state(root) == before
    (root / 'labelmap.txt').write_text(LABELMAP.rpartition('thing')[0])
    with pytest.raises(UserError, match='colours such as .*does not name'):
        recognise(root, 'semantic')


def test_converted_maps_are_never_those_of_other_data(scenes, tmp_path):
    """Runs may share a folder; colours may be corrected."""

    def maps(root, run=tmp_path / 'run', classes=None):
        data = recognise(root, 'semantic', classes=classes)
        _, datasets = built('semantic', data.prepare(run))
        return label_maps(datasets['train']) | label_maps(datasets['val'])

    root = write_masks(scenes, tmp_path / 'a',
                       lambda labels: np.uint8(labels < 4) * 255)
    first = maps(root)
    other = write_masks(scenes, tmp_path / 'b',
                        lambda labels: np.uint8(labels >= 4) * 255)
    for path in other.rglob('*.png'):
        os.utime(path, (0, 0))
    for stem, labels in maps(other).items():
        assert np.array_equal(labels, 1 - first[stem])
    for names in 'ab', 'ba':
        (root / 'labelmap.txt'
         ).write_text(f'{names[0]}:0,0,0::\n{names[1]}:255,255,255::\n')
        for stem, labels in maps(root, classes=['a', 'b']).items():
            assert np.array_equal(labels, first[stem] ^ (names == 'ba'))
    # Two kinds of maps in one folder, whose names differ in the suffix.
    twin = write_masks(scenes, tmp_path / 'c',
                       lambda labels: np.uint8(labels < 4) * 255)
    (twin / 'masks/000001.png').rename(twin / 'masks/000000_mask.tif')
    (twin / 'images/000001.jpg').rename(twin / 'images/000000_mask.jpg')
    Image.open(twin / 'masks/000000_mask.tif').save(
        twin / 'masks/000000_mask.tif', 'TIFF')
    found = maps(twin, tmp_path / 'twin')
    assert np.array_equal(found['000000'], first['000000'])
    assert np.array_equal(found['000000_mask'], first['000001'])


NAMES = [f'thing {i}' for i in range(7)]


def test_classes_in_another_order(scenes, tmp_path):
    """Names tell which label is which; others become unlabelled."""
    root = write_masks(scenes, tmp_path / 'data')
    (root / 'classes.txt').write_text('\n'.join(NAMES))
    asked = [NAMES[i] for i in (6, 4, 0, 1, 2)]
    data = recognise(root, 'semantic', classes=asked)
    assert data.classes == tuple(asked)
    assert ('2 classes whose pixels become unlabelled (thing 3, thing 5)'
            in data.describe())
    shares = data.parts['train'].total()
    config, datasets = built('semantic', data.prepare(tmp_path / 'run'))
    assert config.model.decode_head.num_classes == 5
    maps = label_maps(datasets['train']) | label_maps(datasets['val'])
    numbers = np.array([2, 3, 4, 255, 1, 255, 0])
    for stem, labels in maps.items():
        assert np.array_equal(labels, numbers[truth(scenes, stem)])
    for i, name in enumerate(asked):
        assert shares[name] == sum(
            (labels == i).sum() for labels in maps.values())
    with pytest.raises(UserError, match='no class tree. .*Use these names'):
        recognise(root, 'semantic', classes=['tree', *NAMES])


def test_a_background_that_no_file_names(scenes, tmp_path):
    """Maps with a class fewer have it too."""
    root = write_masks(scenes, tmp_path / 'data')
    (root / 'classes.txt').write_text('\n'.join(NAMES[1:]))
    classes = ('background', *NAMES[1:])
    for asked in (None, NAMES[1:], classes):
        assert recognise(root, 'semantic', classes=asked).classes == classes
    less = write_masks(scenes, tmp_path / 'less',
                       lambda labels: np.minimum(labels, 5))
    (less / 'classes.txt').write_text('\n'.join(NAMES[1:]))
    data = recognise(root, 'semantic', val=less)
    assert data.classes == classes
    _, datasets = built('semantic', data.prepare(tmp_path / 'run'))
    for stem, labels in label_maps(datasets['val']).items():
        assert np.array_equal(labels, np.minimum(truth(scenes, stem), 5))


def test_validation_data_with_another_order(scenes, tmp_path):
    root = write_masks(scenes, tmp_path / 'data')
    (root / 'classes.txt').write_text('\n'.join(NAMES))
    other = write_masks(scenes, tmp_path / 'other', lambda labels: 6 - labels)
    (other / 'classes.txt').write_text('\n'.join(NAMES[::-1]))
    data = recognise(root, 'semantic', val=other)
    _, datasets = built('semantic', data.prepare(tmp_path / 'run'))
    for split in 'train', 'val':
        maps = label_maps(datasets[split])
        assert len(maps) == 6
        for stem, labels in maps.items():
            assert np.array_equal(labels, truth(scenes, stem))
    (other / 'classes.txt').write_text('\n'.join('abcdefg'))
    with pytest.raises(UserError, match='other has no class thing 0'):
        recognise(root, 'semantic', val=other)


def test_a_label_without_a_name_is_no_unlabelled_pixel(scenes, tmp_path,
                                                       monkeypatch):
    """Also in a map that was not looked at."""
    root = write_masks(scenes, tmp_path / 'data')
    (root / 'classes.txt').write_text('\n'.join(NAMES))
    Image.new('L', (64, 64), 9).save(root / 'masks/000001.png')
    monkeypatch.setattr(masks, 'LOOKED_AT', 2)
    data = recognise(root, 'semantic', classes=NAMES[::-1])
    with pytest.raises(UserError, match='000001.png has the label 9, but'):
        data.prepare(tmp_path / 'run')


def test_black_and_white(scenes, tmp_path):
    root = write_masks(scenes, tmp_path / 'data',
                       lambda labels: np.uint8(labels < 4) * 255)
    (root / 'classes.txt').write_text('thing\n')
    data = recognise(root, 'semantic')
    assert data.classes == ('background', 'thing')
    assert 'only 0 and 255' in data.describe()
    _, datasets = built('semantic', data.prepare(tmp_path / 'run'))
    for stem, labels in label_maps(datasets['train']).items():
        assert np.array_equal(labels, truth(scenes, stem) < 4)


def test_names_and_labels(scenes, tmp_path):
    root = write_masks(scenes, tmp_path / 'data',
                       lambda labels: np.where(labels == 6, 255, labels))
    text = recognise(root, 'semantic').describe()
    assert 'class_0' in text and '255 means unlabelled' in text
    names = ('sky', 'sea', 'sun', 'rain', 'wind')
    (root / 'classes.json').write_text(
        json.dumps({
            n: i
            for i, n in enumerate(names)
        }))
    data = recognise(root, 'semantic')
    assert data.classes == ('background', *names)
    assert 'label 0 becomes the background' in data.describe()
    (root / 'classes.json').unlink()
    assert recognise(
        root, 'semantic', classes='a b c d e f g'.split()).classes[-1] == 'g'
    with pytest.raises(UserError, match='labels up to 5.*names 2 classes'):
        recognise(root, 'semantic', classes=['a', 'b'])


def test_grey_levels_are_no_numbers(scenes, tmp_path):
    root = write_masks(scenes, tmp_path / 'data',
                       lambda labels: np.uint8(labels < 4) * 128)
    with pytest.raises(UserError, match='grey levels.*labelmap.txt'):
        recognise(root, 'semantic')
    (root / 'labelmap.txt').write_text('no:0,0,0::\nyes:128,128,128::\n')
    data = recognise(root, 'semantic')
    _, datasets = built('semantic', data.prepare(tmp_path / 'run'))
    for stem, labels in label_maps(datasets['train']).items():
        assert np.array_equal(labels, truth(scenes, stem) < 4)


def test_maps_that_do_not_fit_are_left_out(scenes, tmp_path):
    root = write_masks(scenes, tmp_path / 'data')
    Image.new('L', (9, 9)).save(root / 'masks/000000.png')
    (root / 'masks/000001.png').write_bytes(b'no picture')
    (root / 'masks/000002.png').unlink()
    shutil.copy(root / 'masks/000003.png', root / 'masks/lost.png')
    data = recognise(root, 'semantic')
    text = data.describe()
    assert 'images/000000.jpg: 64×64 and 9×9' in text
    assert 'masks/000001.png cannot be read' in text
    assert '1 picture without a label map (images/000002.jpg)' in text
    assert '1 label map without a picture (masks/lost.png)' in text
    assert {s.picture
            for s in data.parts['train'].samples
            } == {f'images/00000{i}.jpg'
                  for i in (3, 4, 5)}


def test_side_by_side(scenes, tmp_path):
    root = tmp_path / 'data'
    for split, folder in ('train', 'train'), ('val', 'valid'):
        shutil.copytree(scenes / 'images' / split, root / folder)
        for path in (scenes / f'semantic_{split}').iterdir():
            shutil.copy(path, root / folder / f'{path.stem}_mask.png')
        (root / folder / '_classes.csv').write_text('Pixel Value, Class\n' +
                                                    ''.join(f'{i}, thing {i}\n'
                                                            for i in range(7)))
    data = recognise(root, 'semantic')
    assert data.classes == tuple(f'thing {i}' for i in range(7))
    _, datasets = built('semantic', data.prepare(tmp_path / 'run'))
    for split in 'train', 'val':
        maps = label_maps(datasets[split])
        assert len(maps) == dict(train=6, val=4)[split]
        for stem, labels in maps.items():
            assert np.array_equal(labels, truth(scenes, stem, split))


def test_voc_as_it_comes(scenes, tmp_path):
    """Images, boxes and both kinds of masks have the same names."""
    root = write_voc(scenes, tmp_path / 'data')
    (root / 'ImageSets/Segmentation').mkdir()
    for folder in 'SegmentationClass', 'SegmentationObject':
        (root / folder).mkdir()
        for split in 'train', 'val':
            stems = ['000000', '000002']
            (root / f'ImageSets/Segmentation/{split}.txt').write_text(
                '\n'.join(f'{split}_{stem}' for stem in stems))
            for stem in stems:
                shutil.copy(scenes / f'semantic_{split}/{stem}.png',
                            root / folder / f'{split}_{stem}.png')
    data = recognise(root, 'semantic')
    assert '2 images for training, 2 for validation' in data.describe()
    _, datasets = built('semantic', data.prepare(tmp_path / 'run'))
    for split in 'train', 'val':
        for stem, labels in label_maps(datasets[split]).items():
            assert np.array_equal(labels,
                                  truth(scenes,
                                        stem.partition('_')[2], split))
    text = recognise(root, 'detection').describe()
    assert '6 images for training, 4 for validation' in text


def masks_of(dataset):
    """Outlines of the objects, by image."""
    found = {}
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        found[info['img_path'].rpartition('/')[2]] = [
            one['mask'] for one in info['instances']
        ]
    return found


def test_coco_masks(scenes, tmp_path):
    data = recognise(scenes, 'instance')
    config, datasets = built('instance', data.prepare(tmp_path / 'run'))
    assert config.model.panoptic_head.num_things_classes == 4
    for split in 'train', 'val':
        assert masks_of(datasets[split]) == {
            name: [outline for *_, outline in rows]
            for name, _, rows in rows_of(scenes, split)
        }


def test_yolo_polygons(scenes, tmp_path):
    root = write_yolo(scenes, tmp_path / 'data', polygons=True)
    # Boxes from the polygons equal the boxes of the objects.
    boxes = {
        s.picture: [row['bbox'] for _, row in s.record[1]]
        for s in recognise(root, 'detection').parts['train'].samples
    }
    data = recognise(root, 'instance')
    _, datasets = built('instance', data.prepare(tmp_path / 'run'))
    found = masks_of(datasets['train'])
    areas = {}
    for one in content(scenes, 'train')['annotations']:
        areas.setdefault(one['image_id'], []).append(one)
    compared = 0
    for i, (name, _, rows) in enumerate(rows_of(scenes, 'train')):
        polygons = [r for r in rows if isinstance(r[2], list)]
        for mask, row, box in zip(
                found[name], polygons, boxes[f'images/train/{name}'],
                strict=True):
            np.testing.assert_allclose(mask, [row[2][0]], atol=1e-6)
            if len(row[2]) == 1:
                np.testing.assert_allclose(box, row[1], atol=1e-6)
                compared += 1
    assert compared


def test_panoptic(scenes, tmp_path):
    data = recognise(scenes, 'panoptic')
    assert '4 classes are things' in data.describe()
    config, datasets = built('panoptic', data.prepare(tmp_path / 'as_is'))
    assert config.train_dataloader.dataset.ann_file == str(
        scenes / 'annotations/panoptic_train.json')
    head = config.model.panoptic_head
    assert (head.num_things_classes, head.num_stuff_classes) == (4, 3)
    whole = {
        row['img_path']: row
        for row in (datasets['train'].get_data_info(i) for i in range(6))
    }
    # The model numbers things first.
    asked = ('sky', 'box', 'ground', 'person', 'cone', 'wall', 'ball')
    data = recognise(scenes, 'panoptic', classes=asked)
    assert data.classes == ('box', 'person', 'cone', 'ball', 'sky', 'ground',
                            'wall')
    _, other = built('panoptic', data.prepare(tmp_path / 'turned'))
    for i in range(6):
        rows = [[(s['id'], d.metainfo['classes'][s['category']], s['is_thing'])
                 for s in d.get_data_info(i)['segments_info']]
                for d in (other['train'], datasets['train'])]
        assert rows[0] == rows[1]
    # A single file that is split gives the same segments.
    root = tmp_path / 'data'
    shutil.copytree(scenes / 'images/train', root / 'images')
    shutil.copytree(scenes / 'panoptic_train', root / 'panoptic')
    file = content(scenes, 'train', 'panoptic')
    file['categories'].reverse()
    (root / 'panoptic.json').write_text(json.dumps(file))
    (root / 'panoptic/000005.png').unlink()
    data = recognise(root, 'panoptic', val=.4)
    assert '1 image whose PNG is missing (000005.jpg)' in data.describe()
    _, datasets = built('panoptic', data.prepare(tmp_path / 'run'))
    assert [len(datasets[s]) for s in ('train', 'val')] == [3, 2]
    names = datasets['train'].metainfo['classes']
    assert names == ('person', 'cone', 'ball', 'box', 'ground', 'wall', 'sky')
    ours = data.parts['train'].samples
    assert len(ours) == 5
    for split in 'train', 'val':
        for i in range(len(datasets[split])):
            row = datasets[split].get_data_info(i)
            name = row['img_path'].rpartition('/')[2]
            other = whole[str(scenes / 'images/train' / name)]
            classes = ('box', 'ball', 'cone', 'person', 'sky', 'wall',
                       'ground')
            assert [(s['id'], names[s['category']], s['is_thing'])
                    for s in row['segments_info']
                    ] == [(s['id'], classes[s['category']], s['is_thing'])
                          for s in other['segments_info']]
            assert datasets[split][i]['data_samples'].gt_panoptic_seg
