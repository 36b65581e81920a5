"""Rendered buffers equal those of a slow reference."""
import cv2
import numpy as np
import pytest

from glid_mm.scenes import CLASSES, THINGS, render_scene
from glid_mm.scenes.render import MIN_LARGEST, MIN_VISIBLE
from glid_mm.scenes.world import FAR, NEAR, sample_world


@pytest.mark.parametrize('size', [32, (64, 200), (256, 192), 640])
def test_buffers_have_the_size_that_was_asked_for(size):
    shape = (size, size) if isinstance(size, int) else size
    scene = render_scene(0, 'val', 0, size)
    assert scene.image.shape == (*shape, 3)
    assert scene.image.dtype == np.uint8 and scene.image.std() > 5
    for buffer, dtype in ((scene.instance, np.uint8),
                          (scene.semantic, np.uint8), (scene.depth_mm,
                                                       np.uint16)):
        assert buffer.shape == shape and buffer.dtype == dtype


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
    # Repeat the draws until the world is the one that the scene kept.
    rng = np.random.default_rng([5, 0, index])
    world = sample_world(rng, size, size)
    while not np.isclose(world.camera.focal * size, scene.focal):
        world = sample_world(rng, size, size)
    labels = world.labels()
    agree = 0
    # Half of the pixels are anywhere, half on outlines of things.
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
    # A step may jump over an edge that is thinner than the step.
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
