"""Render a scene: an image and the buffers for all its labels."""
from typing import NamedTuple

import numpy as np

from .classes import CLASSES, SPLITS
from .raster import rasterise
from .shading import shade
from .world import SKY, WALL, sample_world

MIN_SIZE = 32
# Things with fewer visible pixels are removed from the world before labelling,
# so that no label contains them.
MIN_VISIBLE = 12
# The largest thing covers at least this part of the image.
MIN_LARGEST = 0.04


class Instance(NamedTuple):
    """A visible thing.

    Attributes:
        label: class index, see ``classes.CLASSES``.
        keypoints: (17, 3) float64 of x, y in pixels, and COCO's visibility: 2
            visible, 1 hidden, 0 outside the image (then x = y = 0). The centre
            of the top left pixel is (0, 0). None for non-persons.
    """
    label: int
    keypoints: np.ndarray = None


class Scene(NamedTuple):
    """A rendered scene.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        instance: (H, W) uint8, 0 for stuff, else 1 + index into
            ``instances``.
        semantic: (H, W) uint8 class index.
        depth_mm: (H, W) uint16, millimetres along the optical axis, 0 for
            the sky.
        instances: list of ``Instance``.
        focal: focal length in pixels; the principal point is the middle of
            the image.
    """
    image: np.ndarray
    instance: np.ndarray
    semantic: np.ndarray
    depth_mm: np.ndarray
    instances: list
    focal: float


def parse_size(size):
    """``(height, width)`` of an int or a pair.

    Raises:
        TypeError: if it is neither an int nor a pair of ints.
        ValueError: if a side is below ``MIN_SIZE`` pixels.
    """
    pair = (size, size) if np.isscalar(size) else tuple(size)
    if len(pair) != 2 or not all(
            isinstance(side, (int, np.integer)) and not isinstance(side, bool)
            for side in pair):
        raise TypeError('size must be a whole number of pixels or a pair '
                        f'(height, width) of them, not {size!r}')
    if min(pair) < MIN_SIZE:
        raise ValueError(f'size must be at least {MIN_SIZE} pixels per side, '
                         f'not {size!r}')
    return int(pair[0]), int(pair[1])


def render_scene(seed, split, index, size):
    """Render a scene; the same arguments give the same bytes.

    Args:
        seed (int): seed of the data set, not negative.
        split (str): one of ``SPLITS``.
        index (int): index of the image in its split, not negative.
        size (int | tuple): pixels per side, or (height, width); at least 32.

    Returns:
        Scene: the image with its labels.

    Raises:
        TypeError: if ``size`` is neither an int nor a pair of ints.
        ValueError: if ``size`` is too small, ``split`` is unknown, or ``seed``
            or ``index`` is negative.
    """
    height, width = parse_size(size)
    if split not in SPLITS:
        raise ValueError(f'split must be one of {SPLITS}, not {split!r}')
    if seed < 0 or index < 0:
        raise ValueError('seed and index must not be negative, not '
                         f'{seed} and {index}')
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    while True:
        world = sample_world(rng, height, width)
        focal = float(world.camera.focal * np.sqrt(height * width))
        surfaces, depth, nearest, segment = _cast(world, focal, height, width)
        visible = np.bincount(segment.ravel(), minlength=len(world.labels()))
        if visible[WALL + 1:].max() >= MIN_LARGEST * height * width:
            break

    image = shade(world, surfaces, focal, depth, nearest, rng)
    labels = world.labels()
    shown = np.flatnonzero(visible[WALL + 1:]) + WALL + 1
    instance_of = np.zeros(len(labels), np.uint8)
    instance_of[shown] = np.arange(len(shown)) + 1
    depth_mm = np.rint(depth * 1000).astype(np.uint16)
    depth_mm[segment == SKY] = 0
    instances = []
    for owner in shown:
        thing = world.things[owner - WALL - 1]
        keypoints = None
        if CLASSES[thing.label] == 'person':
            keypoints = _keypoints(thing, world.camera, focal, depth,
                                   segment == owner)
        instances.append(Instance(thing.label, keypoints))
    return Scene(image, instance_of[segment],
                 labels.astype(np.uint8)[segment], depth_mm, instances, focal)


def _cast(world, focal, height, width):
    """Surfaces in the camera's frame, depth, surface and segment buffers."""
    surfaces = world.surfaces().in_camera(world.camera.rotation,
                                          world.camera.position)
    while True:
        depth, nearest = rasterise(surfaces, focal, height, width)
        segment = np.append(surfaces.owner, SKY)[nearest]
        visible = np.bincount(segment.ravel(), minlength=len(world.labels()))
        tiny = np.flatnonzero((visible > 0) & (visible < MIN_VISIBLE))
        tiny = tiny[tiny > WALL]
        # Removing them takes no pixels from others, so this ends.
        if not len(tiny):
            return surfaces, depth, nearest, segment
        surfaces = surfaces.select(~np.isin(surfaces.owner, tiny))


def _keypoints(thing, camera, focal, depth, mask):
    """(17, 3) x, y, visibility of a person with visible mask ``mask``."""
    height, width = depth.shape
    points = (thing.keypoints - camera.position) @ camera.rotation.T
    keypoints = np.zeros((len(points), 3))
    for k, (x, y, z) in enumerate(points):
        if z <= 0:
            continue
        # Files store hundredths of a pixel.
        x = round(x / z * focal + (width - 1) / 2, 2)
        y = round(y / z * focal + (height - 1) / 2, 2)
        column, row = round(x), round(y)
        if not (0 <= column < width and 0 <= row < height):
            continue
        # At an outline, the nearest pixel may miss the body.
        near = (slice(max(row - 1, 0),
                      row + 2), slice(max(column - 1, 0), column + 2))
        bare = depth[row, column] > z - thing.tolerance[k]
        seen = (mask[near] & (depth[near] > z - thing.tolerance[k])).any()
        keypoints[k] = x, y, 2 if bare and seen else 1
    return keypoints
