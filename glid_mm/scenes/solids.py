"""Solids and the surfaces that bound them.

Every surface is a piece of a quadric ``p'Ap + 2b'p + c = 0`` that is positive
on the outer side: ellipsoids, the sides of cones, and, with ``A = 0``, planes.
Up to two slabs ``|s . (p, 1)| <= 1`` select the piece. Every surface also lies
in the convex hull of four ellipsoids, which may be flat or single points; its
bounds in the image and its shadow follow from the hull.
"""
from typing import NamedTuple

import numpy as np


class Surfaces(NamedTuple):
    """Pieces of quadrics, all lengths in metres.

    Attributes:
        a: (P, 3, 3) quadratic part, zero for planes.
        b: (P, 3) linear part.
        c: (P,) constant part.
        slabs: (P, 2, 4) limits; unused ones are zero.
        hull_centre: (P, 4, 3) centres of the hull's ellipsoids, NaN for an
            unbounded plane.
        hull_axes: (P, 4, 3, 3) their semi-axes, in columns.
        owner: (P,) segment of the surface.
        material: (P,) index of its material.
    """
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    slabs: np.ndarray
    hull_centre: np.ndarray
    hull_axes: np.ndarray
    owner: np.ndarray
    material: np.ndarray

    def select(self, index):
        """The surfaces at ``index`` (any NumPy index)."""
        return Surfaces(*(field[index] for field in self))

    def in_camera(self, rotation, position):
        """The surfaces in the frame of a camera.

        Args:
            rotation: (3, 3) world to camera.
            position: (3,) the camera in the world.
        """
        a_pos = self.a @ position
        return self._replace(
            a=rotation @ self.a @ rotation.T,
            b=(self.b + a_pos) @ rotation.T,
            c=(a_pos + 2 * self.b) @ position + self.c,
            slabs=np.concatenate([
                self.slabs[..., :3] @ rotation.T,
                self.slabs[..., :3] @ position[:, None] + self.slabs[..., 3:]
            ], -1),
            hull_centre=(self.hull_centre - position) @ rotation.T,
            hull_axes=rotation @ self.hull_axes)


def concatenate(surfaces):
    """Concatenate a list of ``Surfaces``."""
    return Surfaces(*(np.concatenate(fields) for fields in zip(*surfaces)))


class Ellipsoids(NamedTuple):
    """``centre`` (N, 3) and ``axes`` (N, 3, 3), the semi-axes in columns."""
    centre: np.ndarray
    axes: np.ndarray
    owner: np.ndarray
    material: np.ndarray

    def surfaces(self):
        inverse = np.linalg.inv(self.axes)
        a = inverse.transpose(0, 2, 1) @ inverse
        b = -np.einsum('nij,nj->ni', a, self.centre)
        return Surfaces(a, b, -np.einsum('ni,ni->n', b, self.centre) - 1,
                        np.zeros((len(a), 2, 4)),
                        np.repeat(self.centre[:, None], 4, 1),
                        np.repeat(self.axes[:, None], 4, 1), self.owner,
                        self.material)


class Frusta(NamedTuple):
    """Sides of truncated cones: ``start``, ``end`` (N, 3), two radii (N,).

    An end of radius zero makes a cone. The ends are open: a ball, or the
    ground, closes them.
    """
    start: np.ndarray
    end: np.ndarray
    start_radius: np.ndarray
    end_radius: np.ndarray
    owner: np.ndarray
    material: np.ndarray

    def surfaces(self):
        axis = self.end - self.start
        length = np.linalg.norm(axis, axis=1)
        axis = axis / length[:, None]
        slope = (self.end_radius - self.start_radius) / length
        outer = axis[:, :, None] * axis[:, None]
        a = np.eye(3) - (1 + slope**2)[:, None, None] * outer
        b_start = -(self.start_radius * slope)[:, None] * axis
        a_start = np.einsum('nij,nj->ni', a, self.start)
        c = (-self.start_radius**2 +
             np.einsum('ni,ni->n', a_start - 2 * b_start, self.start))
        slabs = np.zeros((len(a), 2, 4))
        slabs[:, 0, :3] = 2 * axis / length[:, None]
        slabs[:, 0,
              3] = -1 - np.einsum('ni,ni->n', slabs[:, 0, :3], self.start)
        # A disc across the axis bounds each end.
        across = np.eye(3) - outer
        discs = np.stack([
            self.start_radius[:, None, None] * across,
            self.end_radius[:, None, None] * across
        ], 1)
        return Surfaces(a, b_start - a_start, c, slabs,
                        np.repeat(np.stack([self.start, self.end], 1), 2, 1),
                        np.repeat(discs, 2, 1), self.owner, self.material)


class Rectangles(NamedTuple):
    """``centre`` and the half edges ``right``, ``up`` (N, 3).

    The outer side is the one that ``right x up`` points to.
    """
    centre: np.ndarray
    right: np.ndarray
    up: np.ndarray
    owner: np.ndarray
    material: np.ndarray

    def surfaces(self):
        normal = np.cross(self.right, self.up)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        edges = np.stack([self.right, self.up], 1)
        slabs = np.empty((len(normal), 2, 4))
        slabs[..., :3] = edges / (edges**2).sum(-1, keepdims=True)
        slabs[..., 3] = -np.einsum('nki,ni->nk', slabs[..., :3], self.centre)
        corners = np.stack([
            self.centre + i * self.right + j * self.up
            for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ], 1)
        return Surfaces(
            np.zeros((len(normal), 3, 3)), normal / 2,
            -np.einsum('ni,ni->n', normal, self.centre), slabs, corners,
            np.zeros((len(normal), 4, 3, 3)), self.owner, self.material)


class Planes(NamedTuple):
    """Unbounded planes: a ``point`` and the unit ``normal`` (N, 3)."""
    point: np.ndarray
    normal: np.ndarray
    owner: np.ndarray
    material: np.ndarray

    def surfaces(self):
        count = len(self.point)
        return Surfaces(
            np.zeros((count, 3, 3)), self.normal / 2,
            -np.einsum('ni,ni->n', self.normal, self.point),
            np.zeros((count, 2, 4)), np.full((count, 4, 3), np.nan),
            np.zeros((count, 4, 3, 3)), self.owner, self.material)


class Boxes(NamedTuple):
    """``centre`` (N, 3) and ``axes`` (N, 3, 3), the half edges in columns."""
    centre: np.ndarray
    axes: np.ndarray
    owner: np.ndarray
    material: np.ndarray

    def surfaces(self):
        x, y, z = self.axes.transpose(2, 0, 1)
        faces = [(x, y, z), (-x, z, y), (y, z, x), (-y, x, z), (z, x, y),
                 (-z, y, x)]
        out, right, up = (np.concatenate(side) for side in zip(*faces))
        return Rectangles(
            np.tile(self.centre, (6, 1)) + out, right, up,
            np.tile(self.owner, 6), np.tile(self.material, 6)).surfaces()
