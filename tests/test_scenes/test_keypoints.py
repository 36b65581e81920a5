"""Keypoints lie on their person and have the right visibility."""
import cv2
import numpy as np

from glid_mm.scenes import KEYPOINTS
from glid_mm.scenes.render import _keypoints
from glid_mm.scenes.world import Camera, Thing
from .build import people


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
                # Nothing is clearly in front of the person.
                depth = scene.depth_mm[row, column] / 1000
                body = scene.depth_mm[mask] / 1000
                assert depth == 0 or depth > body.min() - 0.2
            else:
                hidden_elsewhere += not mask[row, column]
    assert hidden_elsewhere > 10


def test_visibility_follows_the_depth_buffer():
    """A clearly nearer surface hides a point, whatever it belongs to."""
    eye = Camera(1., np.eye(3), np.zeros(3))
    # All points lie on the optical axis, two metres away.
    thing = Thing(3, None, 0., 0., np.tile([0, 0, 2.], (17, 1)),
                  np.full(17, 0.1))

    def visibility(depth, owned):
        v = _keypoints(thing, eye, 9., np.full((9, 9), depth), owned)[:, 2]
        assert len(set(v)) == 1
        return v[0]

    body, nobody = np.ones((9, 9), bool), np.zeros((9, 9), bool)
    assert visibility(1.95, body) == 2
    assert visibility(1.85, body) == 1  # the body itself is in front
    assert visibility(1.95, nobody) == 1  # something else is here
    assert visibility(1.0, nobody) == 1
    edge = nobody.copy()
    edge[4, 5] = True
    assert visibility(1.95, edge) == 2  # next to the outline
    edge = np.roll(edge, 1, 1)
    assert visibility(1.95, edge) == 1


def test_left_is_left(scenes):
    """People with a visible nose face us: their left is on our right."""
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
