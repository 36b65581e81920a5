import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from glid_mm.scenes import (CLASSES, KEYPOINTS, PALETTE, SKELETON, SPLITS,
                            STUFF, THINGS, render_scene, write_scenes, writer)
from glid_mm.scenes.labels import segmentation
from glid_mm.scenes.render import MIN_LARGEST, MIN_VISIBLE, _keypoints
from glid_mm.scenes.world import FAR, NEAR, Camera, Thing, sample_world

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/dataset_converters/make_scenes.py'
ENVIRONMENT = dict(os.environ, PYTHONPATH=str(ROOT))
SIZE = (72, 96)
COUNTS = dict(train=12, val=4, unlabelled=3)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp('scenes') / 'data'
    assert write_scenes(out, **COUNTS, size=SIZE, seed=3)
    return out


@pytest.fixture(scope='module')
def scenes():
    return [render_scene(11, 'train', index, 96) for index in range(120)]


def read(path):
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return image[..., ::-1] if image.ndim == 3 else image


def contents(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob('*')) if path.is_file()
    }


def test_names():
    assert CLASSES == THINGS + STUFF and len(CLASSES) == len(PALETTE) == 7
    assert len(KEYPOINTS) == 17
    assert {n for pair in SKELETON for n in pair} == set(range(1, 18))


# Bytes


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


@pytest.mark.parametrize('size', [32, (64, 200), (256, 192), 640])
def test_sizes(size):
    shape = (size, size) if isinstance(size, int) else size
    scene = render_scene(0, 'val', 0, size)
    assert scene.image.shape == (*shape, 3)
    assert scene.image.dtype == np.uint8 and scene.image.std() > 5
    for buffer, dtype in ((scene.instance, np.uint8),
                          (scene.semantic, np.uint8), (scene.depth_mm,
                                                       np.uint16)):
        assert buffer.shape == shape and buffer.dtype == dtype


# Files


def test_files(root):
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
    elif shape == 'corner':  # two squares that touch in a corner
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


# Geometry, against a slow reference


def inside(kind, rows, k, p):
    """Which of the points ``p`` (N, 3) lie in the k-th solid."""
    if kind == 'ellipsoids':
        local = np.linalg.solve(rows.axes[k], (p - rows.centre[k]).T)
        return (local**2).sum(0) <= 1
    if kind == 'boxes':
        local = np.linalg.solve(rows.axes[k], (p - rows.centre[k]).T)
        return (np.abs(local) <= 1).all(0)
    axis = rows.end[k] - rows.start[k]
    along = (p - rows.start[k]) @ axis / (axis @ axis)
    radius = rows.start_radius[k] + along * (
        rows.end_radius[k] - rows.start_radius[k])
    away = np.linalg.norm(p - rows.start[k] - along[:, None] * axis, axis=1)
    return (along >= 0) & (along <= 1) & (away <= radius)


def march(world, direction):
    """Depth and segment of a ray by small steps through every solid."""
    step = 0.005
    t = np.arange(NEAR, 12, step)
    eye = world.camera.position
    best, owner = FAR, 0
    for kind in ('ellipsoids', 'frusta', 'boxes'):
        rows = getattr(world, kind)
        for k, segment in enumerate(rows.owner):
            hit = inside(kind, rows, k, eye + t[:, None] * direction)
            if hit.any() and t[hit.argmax()] < best:
                best, owner = t[hit.argmax()], segment
    for rows, limited in ((world.planes, False), (world.rectangles, True)):
        for k, segment in enumerate(rows.owner):
            if limited:
                point = rows.centre[k]
                normal = np.cross(rows.right[k], rows.up[k])
            else:
                point, normal = rows.point[k], rows.normal[k]
            depth = normal @ (point - eye) / (normal @ direction)
            place = eye + depth * direction - point
            if limited and max(
                    abs(place @ rows.right[k]) / (rows.right[k]**2).sum(),
                    abs(place @ rows.up[k]) / (rows.up[k]**2).sum()) > 1:
                continue
            if NEAR < depth < best:
                best, owner = depth, segment
    return best, owner, step


@pytest.mark.parametrize('index', range(6))
def test_the_nearest_solid_wins(index):
    size = 64
    scene = render_scene(5, 'train', index, size)
    # The same draws, until the world is the one that was kept.
    rng = np.random.default_rng([5, 0, index])
    world = sample_world(rng, size, size)
    while not np.isclose(world.camera.focal * size, scene.focal):
        world = sample_world(rng, size, size)
    labels = world.labels()
    agree = 0
    # Half of the pixels anywhere, half on the outlines of things.
    kernel = np.ones((3, 3), np.uint8)
    outline = np.argwhere(
        cv2.dilate(scene.instance, kernel) != cv2.erode(
            scene.instance, kernel))
    draw = np.random.default_rng(index)
    pixels = np.concatenate([
        draw.integers(0, size, (40, 2)),
        draw.choice(outline, 40, replace=False)
    ])
    for row, column in pixels:
        ray = np.array([(column - (size - 1) / 2) / scene.focal,
                        (row - (size - 1) / 2) / scene.focal, 1])
        depth, owner, step = march(world, world.camera.rotation.T @ ray)
        label = labels[owner]
        if CLASSES[label] == 'sky':
            depth = 0
        agree += (
            scene.semantic[row, column] == label
            and abs(scene.depth_mm[row, column] / 1000 - depth) < step + 1e-3)
    # Steps may jump over an edge thinner than they are.
    assert agree >= 78


def test_sky_is_where_depth_is_invalid(scenes):
    for scene in scenes:
        sky = scene.semantic == CLASSES.index('sky')
        assert np.array_equal(sky, scene.depth_mm == 0)
        assert scene.depth_mm.max() <= FAR * 1000
        assert scene.depth_mm[~sky].min() > NEAR * 1000
    assert any((s.semantic == CLASSES.index('sky')).any() for s in scenes)


def test_instances_are_things(scenes):
    things = [CLASSES.index(name) for name in THINGS]
    for scene in scenes:
        area = np.bincount(scene.instance.ravel())
        assert len(area) == len(scene.instances) + 1
        assert area[1:].min() >= MIN_VISIBLE
        assert area[1:].max() >= MIN_LARGEST * scene.instance.size
        assert np.array_equal(
            np.isin(scene.semantic, things), scene.instance > 0)
        for number, instance in enumerate(scene.instances, 1):
            assert (scene.semantic[scene.instance == number] == instance.label
                    ).all()
            assert (instance.keypoints is not None) == (
                CLASSES[instance.label] == 'person')


# Keypoints


def people(scenes):
    for scene in scenes:
        for number, instance in enumerate(scene.instances, 1):
            if instance.keypoints is not None:
                yield scene, scene.instance == number, instance.keypoints


def test_visible_keypoints_lie_on_the_person(scenes):
    kernel = np.ones((3, 3), np.uint8)
    hidden_elsewhere = 0
    for scene, mask, points in people(scenes):
        near = cv2.dilate(mask.view(np.uint8), kernel) > 0
        for x, y, v in points:
            if v == 0:
                assert x == y == 0
                continue
            column, row = round(x), round(y)
            assert 0 <= column < 96 and 0 <= row < 96
            if v == 2:
                assert near[row, column]
                # Nothing but the person is in front, at the joint's depth.
                depth = scene.depth_mm[row, column] / 1000
                body = scene.depth_mm[mask] / 1000
                assert depth == 0 or depth > body.min() - 0.2
            else:
                hidden_elsewhere += not mask[row, column]
    assert hidden_elsewhere > 10


def test_visibility_follows_the_depth_buffer():
    """A point is hidden by what is clearly nearer, whoever owns it."""
    eye = Camera(1., np.eye(3), np.zeros(3))
    # All points on the optical axis, two metres away.
    thing = Thing(3, None, 0., 0., np.tile([0, 0, 2.], (17, 1)),
                  np.full(17, 0.1))

    def visibility(depth, owned):
        v = _keypoints(thing, eye, 9., np.full((9, 9), depth), owned)[:, 2]
        assert len(set(v)) == 1
        return v[0]

    body, nobody = np.ones((9, 9), bool), np.zeros((9, 9), bool)
    assert visibility(1.95, body) == 2
    assert visibility(1.85, body) == 1  # the body itself is in front
    assert visibility(1.95, nobody) == 1  # somebody else is right here
    assert visibility(1.0, nobody) == 1
    edge = nobody.copy()
    edge[4, 5] = True
    assert visibility(1.95, edge) == 2  # next to the outline
    edge = np.roll(edge, 1, 1)
    assert visibility(1.95, edge) == 1


def test_left_is_left(scenes):
    """Who shows the nose, faces us: their left is on our right."""
    facing, away = [], []
    names = list(KEYPOINTS)
    left, right = names.index('left_shoulder'), names.index('right_shoulder')
    for _, _, points in people(scenes):
        if points[left, 2] and points[right, 2]:
            gap = points[left, 0] - points[right, 0]
            eyes = points[1:3, 2]
            if points[0, 2] == 2 and (eyes == 2).all():
                facing.append(gap)
            elif points[0, 2] == 1 and (eyes
                                        == 1).all() and (points[[left, right],
                                                                2] == 2).all():
                away.append(gap)
    assert len(facing) > 10 and np.mean(np.array(facing) > 0) > 0.9
    assert len(away) > 3 and np.mean(np.array(away) < 0) > 0.7


# Statistics


def test_balance(scenes):
    images = np.array([[(s.semantic == k).any() for k in range(7)]
                       for s in scenes])
    share = dict(zip(CLASSES, images.mean(0)))
    assert share['person'] >= 0.6
    for name in ('box', 'ball', 'cone'):
        assert share[name] > 0.3
    assert 0.15 < share['sky'] < 0.7 and share['wall'] > 0.4
    visibility = np.concatenate([p[:, 2] for _, _, p in people(scenes)])
    for value in (0, 1, 2):
        assert np.mean(visibility == value) > 0.05


def test_colour_does_not_give_the_class_away(scenes):
    means = {name: [] for name in THINGS}
    for scene in scenes:
        for number, instance in enumerate(scene.instances, 1):
            means[CLASSES[instance.label]].append(
                scene.image[scene.instance == number].mean(0))
    centre = np.array([np.mean(means[name], 0) for name in THINGS])
    spread = np.mean([np.std(means[name], 0) for name in THINGS], 0)
    assert (np.ptp(centre, axis=0) < 1.2 * spread).all()


# Errors


@pytest.mark.parametrize('size, error', [(31, ValueError), (0, ValueError),
                                         (-5, ValueError),
                                         ((64, 16), ValueError),
                                         (64.0, TypeError), ('64', TypeError),
                                         ((64, 64, 3), TypeError),
                                         (True, TypeError)])
def test_bad_sizes(size, error, tmp_path):
    with pytest.raises(error, match='size'):
        render_scene(0, 'train', 0, size)
    with pytest.raises(error, match='size'):
        write_scenes(tmp_path / 'a', 1, 0, 0, size, 0)
    assert not list(tmp_path.iterdir())


def test_bad_numbers(tmp_path):
    out = tmp_path / 'a'
    with pytest.raises(ValueError, match='val must not be negative'):
        write_scenes(out, 1, -1, 0, 64, 0)
    with pytest.raises(ValueError, match='nothing to do'):
        write_scenes(out, 0, 0, 0, 64, 0)
    with pytest.raises(ValueError, match='seed'):
        write_scenes(out, 1, 0, 0, 64, -1)
    with pytest.raises(ValueError, match='workers'):
        write_scenes(out, 1, 0, 0, 64, 0, workers=0)
    with pytest.raises(TypeError, match='train'):
        write_scenes(out, 1.5, 0, 0, 64, 0)
    with pytest.raises(ValueError, match='split'):
        render_scene(0, 'test', 0, 64)
    with pytest.raises(ValueError, match='index'):
        render_scene(0, 'train', -1, 64)
    assert not list(tmp_path.iterdir())


def test_existing_directories(tmp_path):
    out = tmp_path / 'a'
    out.mkdir()
    assert write_scenes(out, 1, 0, 0, 32, 0)  # empty: used
    before = contents(out)
    assert not write_scenes(out, 1, 0, 0, 32, 0)  # the very same: kept
    with pytest.raises(FileExistsError, match='--overwrite'):
        write_scenes(out, 2, 0, 0, 32, 0)
    assert contents(out) == before
    assert write_scenes(out, 2, 0, 0, 32, 0, overwrite=True)
    assert len(list((out / 'images/train').iterdir())) == 2
    assert [p.name for p in tmp_path.iterdir()] == ['a']

    other = tmp_path / 'b'
    other.mkdir()
    (other / 'thesis.tex').write_text('years of work')
    with pytest.raises(FileExistsError, match='no Scenes'):
        write_scenes(other, 1, 0, 0, 32, 0, overwrite=True)
    assert (other / 'thesis.tex').exists()


@pytest.mark.parametrize('error', [
    KeyboardInterrupt(),
    OSError(errno.ENOSPC, 'No space left on device'),
    OSError(errno.EACCES, 'Permission denied')
])
def test_nothing_is_left_half_written(tmp_path, monkeypatch, error):
    out = tmp_path / 'a'
    write = writer._encode

    def fail(path, image, options):
        if path.stem == '000002':
            raise error
        write(path, image, options)

    monkeypatch.setattr(writer, '_encode', fail)
    with pytest.raises(type(error)) as caught:
        write_scenes(out, 4, 0, 0, 32, 0)
    if getattr(error, 'errno', None) == errno.ENOSPC:
        assert 'disk is full' in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_out_below_a_file(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match='file'):
        write_scenes(tmp_path / 'file/a', 1, 0, 0, 32, 0)


def test_progress(tmp_path):
    calls = []
    write_scenes(
        tmp_path / 'a', 1, 1, 1, 32, 0, progress=lambda *c: calls.append(c))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_tool(tmp_path):

    def run(*extra):
        return subprocess.run([
            sys.executable,
            str(TOOL), '--out',
            str(tmp_path / 'a'), '--train', '1', '--val', '1', '--unlabelled',
            '0', *extra
        ],
                              capture_output=True,
                              text=True,
                              env=ENVIRONMENT)

    first = run('--size', '32', '48')
    assert first.returncode == 0 and 'written' in first.stdout, first.stderr
    assert read(tmp_path / 'a/semantic_val/000000.png').shape == (32, 48)
    again = run('--size', '32', '48')
    assert again.returncode == 0 and 'nothing to do' in again.stdout
    other = run('--size', '40')
    assert other.returncode == 1 and '--overwrite' in other.stderr


def test_import_is_light():
    code = ('import sys, glid_mm.scenes; '
            'print({"torch", "mmengine", "mmcv"} & set(sys.modules))')
    done = subprocess.run([sys.executable, '-c', code],
                          capture_output=True,
                          text=True,
                          env=ENVIRONMENT)
    assert done.stdout.strip() == 'set()', done.stdout + done.stderr
