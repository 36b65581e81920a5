"""The same arguments give the same files, and all labels agree."""
import json

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from glid_mm.scenes import (CLASSES, KEYPOINTS, SPLITS, STUFF, THINGS,
                            render_scene, write_scenes)
from glid_mm.scenes.labels import segmentation
from .build import COUNTS, SIZE, contents, read


def test_workers_give_the_same_bytes(root, tmp_path):
    write_scenes(tmp_path / 'b', **COUNTS, size=SIZE, seed=3, workers=2)
    assert contents(root) == contents(tmp_path / 'b')


def test_fewer_images_are_a_prefix(root, tmp_path):
    write_scenes(tmp_path / 'b', 3, 2, 1, SIZE, 3)
    whole, part = contents(root), contents(tmp_path / 'b')
    files = [name for name in part if name.endswith(('jpg', 'png'))]
    assert len(files) == 5 * 4 + 1
    assert all(part[name] == whole[name] for name in files)


def test_seed_split_and_index_all_matter():
    images = [
        render_scene(seed, split, index, 32).image.tobytes() for seed in (0, 1)
        for split in SPLITS for index in (0, 1)
    ]
    assert len(set(images)) == len(images)


def test_each_image_has_labels_but_unlabelled_ones_have_none(root):
    names = contents(root)
    for split, count in COUNTS.items():
        images = [n for n in names if n.startswith(f'images/{split}/')]
        assert len(images) == count
    assert not any('unlabelled' in n for n in names if 'images/' not in n)
    for split in ('train', 'val'):
        for kind in ('panoptic', 'semantic', 'depth'):
            stems = {p.stem for p in (root / f'{kind}_{split}').iterdir()}
            assert stems == {
                p.stem
                for p in (root / 'images' / split).iterdir()
            }
    meta = json.loads((root / 'meta.json').read_text())
    assert meta['seed'] == 3 and meta['arguments']['size'] == list(SIZE)
    assert meta['classes'] == list(CLASSES)


def test_jpeg_is_the_scene_in_rgb(root):
    scene = render_scene(3, 'train', 5, SIZE)
    image = read(root / 'images/train/000005.jpg').astype(int)
    assert np.abs(image - scene.image).mean() < 6
    assert np.abs(image[..., ::-1] - scene.image).mean() > 6


@pytest.mark.parametrize('split', ['train', 'val'])
def test_all_labels_agree(root, split):
    folder = root / 'annotations'
    instances = COCO(folder / f'instances_{split}.json')
    people = COCO(folder / f'person_keypoints_{split}.json')
    panoptic = json.loads((folder / f'panoptic_{split}.json').read_text())
    names = {c['id']: c['name'] for c in panoptic['categories']}
    assert names == dict(enumerate(CLASSES, 1))
    assert {c['name']
            for c in panoptic['categories'] if c['isthing']} == set(THINGS)
    assert {
        c['id']: c['name']
        for c in instances.loadCats(instances.getCatIds())
    } == {
        k: n
        for k, n in names.items() if n in THINGS
    }
    person, = people.loadCats(people.getCatIds())
    assert names[person['id']] == 'person'
    assert person['keypoints'] == list(KEYPOINTS)

    assert len(panoptic['annotations']) == COUNTS[split]
    for entry in panoptic['annotations']:
        number = entry['image_id']
        image = instances.loadImgs(number)[0]
        assert (image['height'], image['width']) == SIZE
        stem = image['file_name'][:-4]
        assert int(stem) == number and entry['file_name'] == stem + '.png'
        semantic = read(root / f'semantic_{split}' / f'{stem}.png')
        depth = read(root / f'depth_{split}' / f'{stem}.png')
        rgb = read(root / f'panoptic_{split}' / f'{stem}.png').astype(int)
        assert depth.dtype == np.uint16
        assert np.array_equal(depth == 0, semantic == CLASSES.index('sky'))

        ids = rgb @ (1, 256, 65536)
        segments = {s['id']: s for s in entry['segments_info']}
        assert len(segments) == len(entry['segments_info'])
        assert set(np.unique(ids)) == set(segments)
        for key, segment in segments.items():
            mask = ids == key
            assert (semantic[mask] == segment['category_id'] - 1).all()
            check_box(mask, segment)
        stuff = [names[s['category_id']] for s in segments.values()]
        assert all(stuff.count(name) <= 1 for name in STUFF)

        found = instances.loadAnns(instances.getAnnIds(imgIds=number))
        for annotation in found:
            mask = instances.annToMask(annotation).astype(bool)
            assert annotation['iscrowd'] == 0
            assert 'keypoints' not in annotation
            check_box(mask, annotation)
            key, = np.unique(ids[mask])
            assert np.array_equal(ids == key, mask)
            segment = segments.pop(key)
            assert segment['category_id'] == annotation['category_id']
        assert {names[s['category_id']]
                for s in segments.values()} <= set(STUFF)

        posed = people.loadAnns(people.getAnnIds(imgIds=number))
        assert [a['id'] for a in posed] == [
            a['id'] for a in found if names[a['category_id']] == 'person'
        ]
        for annotation in posed:
            points = np.reshape(annotation['keypoints'], (17, 3))
            assert annotation['num_keypoints'] == (points[:, 2] > 0).sum()


def check_box(mask, annotation):
    rows, columns = np.nonzero(mask)
    x, y = columns.min(), rows.min()
    assert annotation['bbox'] == [
        x, y, columns.max() + 1 - x,
        rows.max() + 1 - y
    ]
    assert annotation['area'] == len(rows)


@pytest.mark.parametrize('shape', ['ring', 'corner', 'pixel', 'noise', 'full'])
def test_segmentation_is_exact(shape):
    mask = np.zeros((20, 30), bool)
    if shape == 'ring':
        mask[2:9, 3:12] = True
        mask[4:6, 5:8] = False
    elif shape == 'corner':  # two squares that touch at a corner
        mask[2:5, 2:5] = mask[5:9, 5:9] = True
    elif shape == 'pixel':
        mask[19, 29] = True
    elif shape == 'noise':
        mask = np.random.default_rng(0).random((20, 30)) < 0.4
    else:
        mask[:] = True
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    code = segmentation(mask, [x, y, w, h])
    assert isinstance(code, dict) == (shape in ('ring', 'noise'))
    coco = COCO()
    coco.imgs = {0: {'height': 20, 'width': 30}}
    decoded = coco.annToMask({'image_id': 0, 'segmentation': code})
    assert np.array_equal(decoded, mask)
