"""The jointed human figure.

Body frame: x forward, y to the figure's left, z up. Lengths are in units of
the figure's height until ``Figure.build`` scales them.
"""
from typing import NamedTuple

import numpy as np

from .classes import KEYPOINTS
from .materials import (pick, plain_material, random_colour, random_material,
                        skin_colour)

SKIN, HAIR, SHIRT, TROUSERS, SHOES, EYES = range(6)

# Angles in degrees: name -> (low, high) for each of these joints. lean trunk
# forward side trunk to the left twist shoulders against hips head_yaw,
# head_pitch nod forward is positive arm, out, elbow swing forward, spread
# sideways, bend; left and right hip, spread, knee the same for the leg
JOINTS = ('lean', 'side', 'twist', 'head_yaw', 'head_pitch', 'l_arm', 'r_arm',
          'l_out', 'r_out', 'l_elbow', 'r_elbow', 'l_hip', 'r_hip', 'l_spread',
          'r_spread', 'l_knee', 'r_knee')
_STAND = ((-4, 8), (-5, 5), (-12, 12), (-45, 45), (-12, 20), (-15, 20),
          (-15, 20), (5, 22), (5, 22), (3, 45), (3, 45), (-4, 8), (-4, 8),
          (1, 10), (1, 10), (0, 8), (0, 8))
POSES = {
    'stand': {},
    'walk': {
        'lean': (0, 8),
        'l_arm': (-35, -15),
        'r_arm': (15, 35),
        'l_hip': (18, 34),
        'r_hip': (-24, -10),
        'l_knee': (2, 15),
        'r_knee': (8, 35),
    },
    'run': {
        'lean': (8, 20),
        'l_arm': (-60, -30),
        'r_arm': (25, 60),
        'l_elbow': (70, 110),
        'r_elbow': (70, 110),
        'l_hip': (35, 70),
        'r_hip': (-35, -12),
        'l_knee': (40, 90),
        'r_knee': (20, 80),
    },
    'wave': {
        'r_out': (95, 165),
        'r_elbow': (0, 80),
    },
    'cheer': {
        'l_out': (80, 170),
        'r_out': (80, 170),
        'l_elbow': (0, 60),
        'r_elbow': (0, 60),
        'l_spread': (4, 22),
        'r_spread': (4, 22),
    },
    'reach': {
        'lean': (0, 25),
        'l_arm': (50, 110),
        'r_arm': (30, 110),
        'l_elbow': (0, 50),
        'r_elbow': (0, 50),
        'l_hip': (0, 30),
    },
    'squat': {
        'lean': (15, 45),
        'l_arm': (20, 80),
        'r_arm': (20, 80),
        'l_elbow': (10, 80),
        'r_elbow': (10, 80),
        'l_hip': (70, 105),
        'r_hip': (70, 105),
        'l_spread': (8, 30),
        'r_spread': (8, 30),
        'l_knee': (95, 130),
        'r_knee': (95, 130),
    },
    'bow': {
        'lean': (35, 75),
        'l_arm': (30, 90),
        'r_arm': (30, 90),
        'l_knee': (5, 25),
        'r_knee': (5, 25),
    },
}
_POSE_SHARE = (0.26, 0.22, 0.13, 0.09, 0.09, 0.09, 0.06, 0.06)
_RANGES = np.array(
    [[dict(zip(JOINTS, _STAND), **pose)[joint] for joint in JOINTS]
     for pose in POSES.values()], float)

# A keypoint is visible if the depth buffer is nearer by at most this, in units
# of height: joints lie inside the limb, keypoints of the face on the skin. In
# the order of ``KEYPOINTS``.
_TOLERANCE = np.array([.02] + [.015] * 2 + [.02] * 2 + [.065] * 2 +
                      [.045] * 4 + [.075] * 2 + [.055] * 2 + [.045] * 2)
assert len(_TOLERANCE) == len(KEYPOINTS)


class Figure(NamedTuple):
    """A figure in metres, standing on z = 0 around the z axis.

    Attributes:
        ellipsoids: ``(centre (N, 3), axes (N, 3, 3), material (N,))``.
        frusta: ``(start (M, 3), end (M, 3), start_radius (M,), end_radius
            (M,), material (M,))``.
        materials: the materials that the indices above point to.
        keypoints: (17, 3) in the order of ``KEYPOINTS``.
        tolerance: (17,) how far a visible keypoint may lie behind the
            surface in front of it.
        radius: radius of the upright cylinder around the figure.
        height: height of its highest point.
    """
    ellipsoids: tuple
    frusta: tuple
    materials: list
    keypoints: np.ndarray
    tolerance: np.ndarray
    radius: float
    height: float


def random_figure(rng, yaw):
    """Draw a figure of random stature, pose and clothes, facing ``yaw``."""
    pose = pick(rng, _POSE_SHARE)
    low, high = _RANGES[pose].T
    angles = dict(zip(JOINTS, np.radians(rng.uniform(low, high)).tolist()))
    if rng.random() < 0.5:
        angles = _mirrored(angles)
    child, height, girth, sleeves, legs, bald = rng.random(6)
    height = 0.95 + 0.45 * height if child < 0.2 else 1.5 + 0.42 * height
    girth = 0.88 + 0.34 * girth

    skin = skin_colour(rng)
    materials = [
        plain_material(skin),
        plain_material(random_colour(rng)),
        random_material(rng, yaw, 0.5),
        random_material(rng, yaw, 0.5),
        plain_material(random_colour(rng)),
        plain_material((0.05, 0.05, 0.06))
    ]
    body = _Body(
        _turn_z(yaw), girth, SKIN if sleeves < 0.5 else SHIRT,
        SKIN if legs < 0.3 else TROUSERS, bald < 0.08)
    return body.pose(angles).build(height, materials)


def _mirrored(angles):
    swap = {'l': 'r_', 'r': 'l_'}
    mirrored = {}
    for name, angle in angles.items():
        if name in ('side', 'twist', 'head_yaw'):
            angle = -angle
        if name[1] == '_':
            name = swap[name[0]] + name[2:]
        mirrored[name] = angle
    return mirrored


def _turn_x(angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])


def _turn_y(angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])


def _turn_z(angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


class _Body:
    """Collect body parts, joint by joint from the hip to the hands."""

    def __init__(self, facing, girth, sleeve, leg, bald):
        self.facing = facing
        self.girth = girth
        self.sleeve = sleeve
        self.leg = leg
        self.bald = bald
        self.balls = []
        self.limbs = []
        self.points = {}

    def ball(self, centre, turn, radii, material):
        self.balls.append((centre, turn * radii, material))

    def limb(self, start, end, start_radius, end_radius, material):
        self.limbs.append((start, end, start_radius, end_radius, material))

    def pose(self, angles):
        girth = self.girth
        hips = np.zeros(3)
        pelvis = self.facing @ _turn_y(0.35 * angles['lean'])
        trunk = self.facing @ _turn_z(angles['twist']) @ _turn_y(
            angles['lean']) @ _turn_x(-angles['side'])
        waist = pelvis @ (0, 0, .07)
        chest = waist + trunk @ (0, 0, .12)
        neck = waist + trunk @ (-.005, 0, .235)
        self.ball(pelvis @ (0, 0, .01), pelvis,
                  (.062 * girth, .088 * girth, .075), TROUSERS)
        self.ball(waist + trunk @ (0, 0, .02), trunk,
                  (.06 * girth, .082 * girth, .095), SHIRT)
        self.ball(chest, trunk, (.066 * girth, .098 * girth, .118), SHIRT)
        self._head(neck, trunk, angles)
        shoulders = {}
        for side, sign in (('left', 1), ('right', -1)):
            shoulders[side] = waist + trunk @ (0, sign * .108, .19)
            self._arm(side, sign, shoulders[side], trunk, angles)
            self._leg(side, sign, hips + pelvis @ (0, sign * .052, -.015),
                      pelvis, angles)
        for side in shoulders.values():
            self.limb(neck - trunk @ (0, 0, .02), side, .042, .036, SHIRT)
        return self

    def _head(self, neck, trunk, angles):
        turn = trunk @ _turn_z(
            angles['head_yaw']) @ _turn_y(angles['head_pitch'] -
                                          0.6 * angles['lean'])
        head = neck + trunk @ (0, 0, .035) + turn @ (.012, 0, .075)
        self.limb(neck - trunk @ (0, 0, .02), head, .032, .03, SKIN)
        self.ball(head, turn, (.06, .05, .073), SKIN)
        if not self.bald:
            self.ball(head + turn @ (-.0135, 0, .0135), turn,
                      (.0595, .054, .0705), HAIR)
        nose = (.067, 0, -.008)
        self.ball(head + turn @ (.058, 0, -.01), turn, (.013, .008, .014),
                  SKIN)
        self.points['nose'] = head + turn @ nose
        for side, sign in (('left', 1), ('right', -1)):
            eye = head + turn @ (.0525, sign * .021, .012)
            self.ball(eye, turn, (.008, .009, .006), EYES)
            self.points[f'{side}_eye'] = eye + turn @ (.007, 0, 0)
            ear = head + turn @ (-.002, sign * .05, -.004)
            self.ball(ear, turn, (.011, .01, .018), SKIN)
            self.points[f'{side}_ear'] = ear + turn @ (0, sign * .007, 0)

    def _arm(self, side, sign, shoulder, trunk, angles):
        key = side[0] + '_'
        girth = self.girth
        upper = trunk @ _turn_x(
            sign * angles[key + 'out']) @ _turn_y(-angles[key + 'arm'])
        fore = upper @ _turn_y(-angles[key + 'elbow'])
        elbow = shoulder + upper @ (0, 0, -.165)
        wrist = elbow + fore @ (0, 0, -.145)
        self.ball(shoulder, upper, np.full(3, .036 * girth), SHIRT)
        self.limb(shoulder, elbow, .034 * girth, .027 * girth, SHIRT)
        self.ball(elbow, upper, np.full(3, .0272 * girth), self.sleeve)
        self.limb(elbow, wrist, .026 * girth, .019, self.sleeve)
        self.ball(wrist + fore @ (0, 0, -.038), fore, (.024, .016, .048), SKIN)
        self.points.update({
            f'{side}_shoulder': shoulder,
            f'{side}_elbow': elbow,
            f'{side}_wrist': wrist
        })

    def _leg(self, side, sign, hip, pelvis, angles):
        key = side[0] + '_'
        girth = self.girth
        thigh = pelvis @ _turn_x(
            sign * angles[key + 'spread']) @ _turn_y(-angles[key + 'hip'])
        shin = thigh @ _turn_y(angles[key + 'knee'])
        knee = hip + thigh @ (0, 0, -.235)
        ankle = knee + shin @ (0, 0, -.225)
        self.ball(hip, thigh, np.full(3, .056 * girth), TROUSERS)
        self.limb(hip, knee, .055 * girth, .038 * girth, TROUSERS)
        self.ball(knee, thigh, np.full(3, .0385 * girth), self.leg)
        self.limb(knee, ankle, .037 * girth, .024, self.leg)
        self.ball(ankle, shin, np.full(3, .026), SHOES)
        # The foot keeps part of the shin's rotation, like a lifting heel.
        lift = angles[key + 'hip'] - angles[key + 'knee']
        foot = pelvis @ _turn_y(-0.35 * lift)
        self.ball(ankle + foot @ (.035, 0, -.02), foot, (.072, .03, .026),
                  SHOES)
        self.points.update({
            f'{side}_hip': hip,
            f'{side}_knee': knee,
            f'{side}_ankle': ankle
        })

    def build(self, height, materials):
        centre, axes, ball_material = zip(*self.balls)
        start, end, start_radius, end_radius, limb_material = zip(*self.limbs)
        centre, axes = np.stack(centre) * height, np.stack(axes) * height
        start, end = np.stack(start) * height, np.stack(end) * height
        points = np.stack([self.points[name] for name in KEYPOINTS]) * height
        # Balls close all limbs, so they alone bound the figure.
        reach = np.linalg.norm(axes, axis=2)
        low, high = (centre - reach).min(0), (centre + reach).max(0)
        origin = np.append((low + high)[:2] / 2, low[2])
        return Figure(
            (centre - origin, axes, np.array(ball_material)),
            (start - origin, end - origin, np.array(start_radius) * height,
             np.array(end_radius) * height, np.array(limb_material)),
            materials, points - origin, _TOLERANCE * height,
            float(np.hypot(*(high - low)[:2]) / 2), float((high - low)[2]))
