"""Sample a world: camera, light, background, and things in it.

World frame: z up, ground at z = 0, the camera above the origin, looking along
+y and down by its pitch. Camera frame: x right, y down, z forward.
"""
from typing import NamedTuple

import numpy as np

from .classes import CLASSES, THINGS
from .figure import random_figure
from .materials import pick, random_colour, random_material
from .solids import Boxes, Ellipsoids, Frusta, Planes, Rectangles, concatenate

# Range of depth in metres; depth maps of 16 bits in millimetres could hold
# 65.5.
NEAR, FAR = 0.2, 60.
# Segments 0 to 2 are stuff; the i-th thing is segment i + 3.
SKY, GROUND, WALL = range(3)
MAX_THINGS = 8


class Camera(NamedTuple):
    """``focal`` in units of sqrt(height * width); see the module's frames."""
    focal: float
    rotation: np.ndarray
    position: np.ndarray


class Light(NamedTuple):
    """``direction`` (3,) to the light, in the world; RGB strengths (3,)."""
    direction: np.ndarray
    direct: np.ndarray
    ambient: np.ndarray


class Thing(NamedTuple):
    """An object in the world.

    Attributes:
        label: class index.
        base: (3,) the middle of its footprint.
        radius: radius of the upright cylinder around it, metres.
        height: height of that cylinder, metres.
        keypoints: (17, 3) world, or None if it is not a figure.
        tolerance: (17,) see ``Figure``.
    """
    label: int
    base: np.ndarray
    radius: float
    height: float
    keypoints: np.ndarray = None
    tolerance: np.ndarray = None


class World(NamedTuple):
    """Everything to draw. ``owner`` of a solid is a segment number.

    ``sky`` holds the colours (2, 3) at the horizon and above.
    """
    camera: Camera
    light: Light
    sky: np.ndarray
    things: list
    materials: list
    ellipsoids: Ellipsoids
    frusta: Frusta
    boxes: Boxes
    planes: Planes
    rectangles: Rectangles

    def surfaces(self):
        """All ``Surfaces``, in the world's frame."""
        solids = (self.planes, self.rectangles, self.ellipsoids, self.frusta,
                  self.boxes)
        return concatenate([s.surfaces() for s in solids if len(s.owner)])

    def labels(self):
        """(segments,) class index of every segment."""
        stuff = [CLASSES.index(name) for name in ('sky', 'ground', 'wall')]
        return np.array(stuff + [thing.label for thing in self.things])


def sample_world(rng, height, width):
    """Draw a random world for an image of ``height`` x ``width`` pixels.

    The first thing is near the middle, at a distance that makes it look large;
    then the background is placed around it, and the other things where they
    fit.
    """
    builder = _Builder()
    focal = rng.uniform(0.85, 1.5)
    # Half the field of view, as a tangent, in the two directions.
    tan_x = 0.5 * np.sqrt(width / height) / focal
    tan_y = 0.5 * np.sqrt(height / width) / focal

    # The first thing, and a camera that looks at it.
    name = THINGS[pick(rng, _FIRST_SHARE)]
    make = _maker(rng, name)
    size = make.height if name == 'person' else 0.5 * (
        make.height + 2 * make.radius)
    share = rng.uniform(*_FIRST_EXTENT[name])
    distance = max(size / (2 * min(tan_x, tan_y) * share), make.radius + 1.)
    x = rng.uniform(-0.5, 0.5) * tan_x * distance
    eye = rng.uniform(0.4, 2.2)
    aim = rng.uniform(-0.25, 0.25) * tan_y
    pitch = np.arctan((eye - make.height / 2) / distance) + np.arctan(aim)
    camera = _camera(rng, focal, eye, np.clip(pitch, -0.25, 0.75))

    indoors = rng.random() < 0.4
    builder.ground(rng)
    walls = (_room if indoors else _facades)(rng, builder, distance, x,
                                             make.radius)
    builder.add(make, np.array([x, distance, 0]))

    for _ in range(rng.integers(1, MAX_THINGS)):
        make = _maker(rng, THINGS[pick(rng, _OTHER_SHARE)])
        for _ in range(6):
            depth = distance * np.exp(rng.uniform(-0.3, 1.3))
            side = rng.uniform(-1.1, 1.1) * tan_x * depth
            base = np.array([side, depth, 0])
            if _fits(base, make, builder.things, walls):
                builder.add(make, base)
                break
    builder.stack(rng, eye)
    return World(camera, _light(rng), _sky(rng), builder.things,
                 builder.materials, *builder.solids())


# Probabilities in the order of THINGS, and the share of the image that the
# first thing spans; the border may cut people.
_FIRST_SHARE = (0.14, 0.14, 0.14, 0.58)
_OTHER_SHARE = (0.28, 0.27, 0.25, 0.2)
_FIRST_EXTENT = {
    'box': (0.3, 0.65),
    'ball': (0.25, 0.55),
    'cone': (0.3, 0.65),
    'person': (0.5, 1.15)
}


def _camera(rng, focal, eye, pitch):
    cos, sin = np.cos(pitch), np.sin(pitch)
    roll = rng.normal(0, 0.02)
    turn = np.array([[np.cos(roll), -np.sin(roll), 0],
                     [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    level = np.array([[1, 0, 0], [0, -sin, -cos], [0, cos, -sin]])
    return Camera(focal, turn @ level, np.array([0, 0, eye]))


def _light(rng):
    azimuth = rng.uniform(0, 2 * np.pi)
    # Light mostly comes from behind the camera, for fewer silhouettes.
    if np.sin(azimuth) > 0 and rng.random() < 0.6:
        azimuth = -azimuth
    elevation = np.radians(rng.uniform(25, 75))
    direction = np.array([
        np.cos(azimuth) * np.cos(elevation),
        np.sin(azimuth) * np.cos(elevation),
        np.sin(elevation)
    ])
    warmth, hard, power = rng.random(3)
    tint = np.array([1, 0.96, 0.85 + 0.15 * warmth])
    hard = 0.25 + 0.55 * hard
    power = 0.85 + 0.4 * power
    return Light(direction, power * hard * 1.25 * tint,
                 power * (1 - hard) * tint[::-1])


def _sky(rng):
    kind, value, mix = rng.random(3)
    if kind < 0.55:  # clear
        zenith, horizon = (0.25, 0.5, 0.9), (0.75, 0.86, 0.95)
    elif kind < 0.8:  # overcast
        zenith, horizon = (0.62, 0.65, 0.7), (0.85, 0.86, 0.87)
    else:  # evening
        zenith, horizon = (0.3, 0.3, 0.55), (0.98, 0.68, 0.45)
    sky = np.array([horizon, zenith]) * (0.75 + 0.3 * value)
    return sky + 0.15 * mix * (np.array(random_colour(rng)) - sky)


class _Made(NamedTuple):
    """A thing at the origin: rows of solids with material numbers."""
    label: int
    radius: float
    height: float
    materials: list
    ellipsoids: tuple = None
    frusta: tuple = None
    boxes: tuple = None
    keypoints: np.ndarray = None
    tolerance: np.ndarray = None


def _maker(rng, name):
    label = THINGS.index(name)
    yaw = rng.uniform(0, 2 * np.pi)
    if name == 'person':
        # About half of them face the camera.
        if rng.random() < 0.5:
            yaw = -np.pi / 2 + rng.normal(0, 0.8)
        figure = random_figure(rng, yaw)
        return _Made(
            label,
            figure.radius,
            figure.height,
            figure.materials,
            ellipsoids=figure.ellipsoids,
            frusta=figure.frusta,
            keypoints=figure.keypoints,
            tolerance=figure.tolerance)
    zero = np.zeros(1, int)
    if name == 'ball':
        radius = np.exp(rng.uniform(np.log(0.15), np.log(0.65)))
        material = random_material(rng, yaw, 2 * radius)
        return _Made(
            label,
            radius,
            2 * radius, [material],
            ellipsoids=(np.array([[0, 0,
                                   radius]]), radius * np.eye(3)[None], zero))
    if name == 'cone':
        height = np.exp(rng.uniform(np.log(0.4), np.log(1.7)))
        radius = np.clip(height * rng.uniform(0.22, 0.55), 0.15, 0.6)
        material = random_material(rng, yaw, height)
        return _Made(
            label,
            radius,
            height, [material],
            frusta=(np.zeros((1, 3)), np.array([[0, 0, height]]),
                    np.array([radius]), np.zeros(1), zero))
    half = 0.5 * np.exp(rng.uniform(np.log(0.3), np.log(1.5), 3))
    cos, sin = np.cos(yaw), np.sin(yaw)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    material = random_material(rng, yaw, 2 * half.mean())
    return _Made(
        label,
        float(np.hypot(half[0], half[1])),
        2 * half[2], [material],
        boxes=(np.array([[0, 0, half[2]]]), turn[None] * half, zero))


def _room(rng, builder, distance, x, radius):
    """Four walls around the camera and the first thing."""
    yaw = rng.uniform(-0.6, 0.6)
    # The room must hold the first thing on every side.
    reach = np.array([distance, abs(x) + 2.5, 2.5, abs(x) + 2.5])
    gaps = radius + 0.1 + rng.uniform(0.1, (3.5, 3., 1., 3.))
    same = rng.random() < 0.6
    walls = []
    for side in range(4):
        angle = yaw + side * np.pi / 2
        out = np.array([-np.sin(angle), np.cos(angle), 0])
        first = out @ (x, distance, 0)
        away = max(first, 0 if side == 0 else reach[side] / 2) + gaps[side]
        if side == 0 or not same:
            material = builder.material(random_material(rng, angle, 2.))
        builder.planes.append((away * out, -out, WALL, material))
        walls.append((away * out, -out))
    return walls


def _facades(rng, builder, distance, x, radius):
    """Up to two free-standing walls behind the first thing."""
    walls = []
    for _ in range(pick(rng, (0.4, 0.4, 0.2))):
        angle = rng.uniform(-0.8, 0.8)
        right = np.array([np.cos(angle), np.sin(angle), 0])
        normal = np.array([np.sin(angle), -np.cos(angle), 0])
        away = distance + rng.uniform(0.5, 9)
        centre = np.array([rng.uniform(-0.6, 0.6) * away, away, 0])
        # Push it back until the first thing is in front of it.
        gap = normal @ (np.array([x, distance, 0]) - centre)
        centre -= max(0, radius + 0.3 - gap) * normal
        if normal @ centre > -0.5:
            continue
        half = np.array([rng.uniform(1.5, 7), rng.uniform(0.5, 2.5)])
        material = builder.material(random_material(rng, angle, 2.))
        builder.rectangles.append((centre + (0, 0, half[1]), half[0] * right,
                                   np.array([0, 0, half[1]]), WALL, material))
        walls.append((centre, normal))
    return walls


def _fits(base, made, things, walls):
    room = made.radius + 0.05
    return base[1] > room + 0.8 and all(
        normal @ (base - point) > room for point, normal in walls) and all(
            np.hypot(*(base - thing.base)[:2]) > room + thing.radius
            for thing in things)


class _Builder:
    """Collect the rows of all solids."""

    def __init__(self):
        self.things = []
        self.materials = []
        self.ellipsoids = []
        self.frusta = []
        self.boxes = []
        self.planes = []
        self.rectangles = []

    def material(self, material):
        self.materials.append(material)
        return len(self.materials) - 1

    def ground(self, rng):
        material = random_material(rng, rng.uniform(0, np.pi), 3., flat=True)
        self.planes.append(
            (np.zeros(3), np.array([0, 0,
                                    1.]), GROUND, self.material(material)))

    def add(self, made, base):
        owner = len(self.things) + WALL + 1
        first = len(self.materials)
        for material in made.materials:
            # The pattern moves with the thing.
            offset = material.offset - material.frame @ base
            self.materials.append(material._replace(offset=offset))
        if made.ellipsoids is not None:
            centre, axes, index = made.ellipsoids
            self.ellipsoids.append(
                (centre + base, axes, np.full(len(index),
                                              owner), index + first))
        if made.frusta is not None:
            start, end, start_radius, end_radius, index = made.frusta
            self.frusta.append(
                (start + base, end + base, start_radius, end_radius,
                 np.full(len(index), owner), index + first))
        if made.boxes is not None:
            centre, axes, index = made.boxes
            self.boxes.append(
                (centre + base, axes, np.full(len(index),
                                              owner), index + first))
        keypoints = made.keypoints
        if keypoints is not None:
            keypoints = keypoints + base
        self.things.append(
            Thing(made.label, base, made.radius, made.height, keypoints,
                  made.tolerance))

    def stack(self, rng, eye):
        """Put a small thing on some of the visible boxes."""
        for box, (_, axes, _,
                  _) in zip([t for t in self.things if t.label == 0],
                            list(self.boxes)):
            # From below, the open base of a cone would be visible.
            if rng.random() > 0.4 or box.height > eye - 0.1:
                continue
            made = _maker(rng, THINGS[rng.integers(3)])
            if made.radius < np.linalg.norm(axes[0], axis=0)[:2].min():
                self.add(made, box.base + (0, 0, box.height))

    def solids(self):
        thing_rows = [
            kind(*(np.concatenate(column)
                   for column in zip(*rows))) if rows else _empty(kind)
            for kind, rows in ((Ellipsoids, self.ellipsoids),
                               (Frusta, self.frusta), (Boxes, self.boxes))
        ]
        stuff_rows = [
            kind(*(np.array(column)
                   for column in zip(*rows))) if rows else _empty(kind)
            for kind, rows in ((Planes, self.planes), (Rectangles,
                                                       self.rectangles))
        ]
        return thing_rows + stuff_rows


def _empty(kind):
    return kind(*(np.zeros(0) for _ in kind._fields))
