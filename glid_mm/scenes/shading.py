"""Turn surfaces into colours: patterns, light, shadows, and the camera."""
import cv2
import numpy as np

from .materials import LEVELS, TEXELS, pattern_atlas
from .world import NEAR, SKY, WALL

_ANGLES = np.linspace(0, 2 * np.pi, 12, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)


def shade(world, surfaces, focal, depth, index, rng):
    """Colour every pixel.

    Args:
        world: the ``World``.
        surfaces: its ``Surfaces`` in the camera's frame.
        focal: focal length in pixels.
        depth: (H, W) float32, metres.
        index: (H, W) int32, the surface of each pixel or -1 for the sky.
        rng: numpy generator for the sensor.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    height, width = depth.shape
    rotation, eye = world.camera.rotation, world.camera.position
    ray_x = ((np.arange(width) - (width - 1) / 2) / focal).astype(np.float32)
    ray_y = ((np.arange(height) - (height - 1) / 2) / focal).astype(
        np.float32)[:, None]
    light = rotation @ world.light.direction

    # One row per quantity, one column per surface, the last one for the sky.
    table = _table(world, surfaces).astype(np.float32)
    pixel = np.take(table, index, axis=1)
    point = np.stack([depth * ray_x, depth * ray_y, depth])
    x, y, z = point
    (a00, a11, a22, a01, a02, a12, b0, b1, b2, u0, u1, u2, u3, v0, v1, v2, v3,
     kind, units, gloss, *colours) = pixel

    normal = np.stack([
        a00 * x + a01 * y + a02 * z + b0, a01 * x + a11 * y + a12 * z + b1,
        a02 * x + a12 * y + a22 * z + b2
    ])
    normal /= np.sqrt((normal**2).sum(0)) + 1e-12
    facing = -(normal[0] * ray_x + normal[1] * ray_y + normal[2])
    # The visible side counts as the front, also for a wall seen from behind.
    normal *= np.sign(facing)
    slant = np.abs(facing) / np.sqrt(ray_x**2 + ray_y**2 + 1)

    # Pattern, at the level whose texels are as wide as the pixel.
    texels = TEXELS / focal * depth * units / (slant + 0.02)
    level = np.clip(np.log2(texels + 1e-6), 0, LEVELS - 1).astype(np.int32)
    side = 2 * TEXELS
    column = np.floor(
        (u0 * x + u1 * y + u2 * z + u3) * TEXELS).astype(np.int32)
    row = np.floor((v0 * x + v1 * y + v2 * z + v3) * TEXELS).astype(np.int32)
    atlas = pattern_atlas()
    flat = ((level * atlas.shape[1] + kind.astype(np.int32)) * side +
            (row & (side - 1))) * side + (
                column & (side - 1))
    mix = atlas.reshape(-1)[flat]

    direct = np.maximum(_dot(light, normal), 0)
    direct *= 1 - _shadow(world, surfaces, focal, light, index)
    # Surfaces near the ground or facing it get less ambient light.
    up = rotation[:, 2]
    above = _dot(up, point) + np.float32(eye[2])
    ambient = 0.8 + 0.2 * _dot(up, normal)
    thing = np.append(surfaces.owner, SKY)[index] > WALL
    ambient *= np.where(thing, 0.65 + 0.35 * np.minimum(above / 0.4, 1),
                        _contact(world, focal, height, width))
    half = light + rotation[:, 1] * -1
    shine = np.maximum(_dot(half / np.linalg.norm(half), normal), 0)
    # The 16th power by squaring; a general power would cost as much as all the
    # patterns.
    for _ in range(4):
        shine *= shine
    shine *= gloss * direct

    open_sky = index < 0
    sky = _sky(world, ray_x, ray_y, up) if open_sky.any() else None
    haze = np.exp(depth / -90)
    image = np.empty((height, width, 3), np.float32)
    for k in range(3):
        colour = colours[k] + mix * colours[k + 3]
        colour *= (
            np.float32(world.light.direct[k]) * direct +
            np.float32(world.light.ambient[k]) * ambient)
        colour += shine
        # Distant things fade to the colour of the horizon.
        horizon = np.float32(world.sky[0, k])
        colour = horizon + haze * (colour - horizon)
        image[..., k] = colour
    if sky is not None:
        np.copyto(image, sky, where=open_sky[..., None])
    return _photograph(image, rng)


def _dot(vector, field):
    """Dot product of (3,) and (3, H, W)."""
    x, y, z = np.asarray(vector, np.float32)
    return x * field[0] + y * field[1] + z * field[2]


def _table(world, surfaces):
    """(26, P + 1): quadric, pattern and colours of each surface."""
    rotation, eye = world.camera.rotation, world.camera.position
    materials = world.materials
    frame = np.stack([m.frame for m in materials])
    offset = np.stack([m.offset for m in materials]) + frame @ eye
    colours = np.stack([m.colours for m in materials])
    rows = np.concatenate([
        np.concatenate([frame @ rotation.T, offset[..., None]], -1).reshape(
            -1, 8),
        np.array([m.pattern for m in materials])[:, None],
        np.linalg.norm(frame, axis=-1).max(1)[:, None],
        np.array([m.gloss for m in materials])[:, None], colours[:, 0],
        colours[:, 1] - colours[:, 0]
    ], 1)
    a = surfaces.a
    quadric = np.stack([
        a[:, 0, 0], a[:, 1, 1], a[:, 2, 2], a[:, 0, 1], a[:, 0, 2], a[:, 1, 2]
    ], 1)
    table = np.concatenate([quadric, surfaces.b, rows[surfaces.material]], 1)
    return np.concatenate([table, np.zeros((1, table.shape[1]))]).T


def _shadow(world, surfaces, focal, light, index):
    """(H, W) float32: the shadows that all solids cast on the planes."""
    height, width = index.shape
    total = np.zeros((height, width), np.float32)
    # Small parts of the face lie inside the shadow of the head.
    large = np.abs(surfaces.hull_axes).max((1, 2, 3)) > 0.03
    large |= ~surfaces.a.any((1, 2))
    casts = surfaces.select((surfaces.owner > WALL) & large)
    for k in np.flatnonzero(surfaces.owner <= WALL):
        receives = index == k
        normal = 2 * surfaces.b[k]
        if normal @ light < 0.05 or not receives.any():
            continue
        # Project everything along the light onto the plane n.p + c = 0.
        slide = np.eye(3) - np.outer(light, normal) / (normal @ light)
        centre = casts.hull_centre @ slide.T - light * (
            surfaces.c[k] / (normal @ light))
        across = np.linalg.svd(normal[None])[2][1:]
        spread = across @ slide @ casts.hull_axes
        outlines = _ellipses(centre, spread @ spread.swapaxes(-1, -2), across)
        mask = _fill(outlines, focal, height, width)
        np.copyto(total, mask, where=receives)
    return total


def _contact(world, focal, height, width):
    """(H, W) float32 dimming of the ground where things stand."""
    rotation, eye = world.camera.rotation, world.camera.position
    base = np.stack([thing.base for thing in world.things])
    radius = np.array([thing.radius for thing in world.things])
    radius = np.where(base[:, 2] == 0, radius, 0)
    square = (0.8 * radius[:, None, None, None])**2 * np.eye(2)
    outlines = _ellipses(((base - eye) @ rotation.T)[:, None], square,
                         rotation[:, :2].T)
    return 1 - 0.45 * _fill(outlines, focal, height, width, soft=0.02)


def _ellipses(centre, covariance, across):
    """Outlines (P, n, 3) of n/12 ellipses each in the plane ``across``."""
    a = np.sqrt(covariance[..., 0, 0] + 1e-12)
    b = covariance[..., 0, 1] / a
    c = np.sqrt(np.maximum(covariance[..., 1, 1] - b**2, 0))
    points = centre[..., None, :] + (
        (a[..., None] * _CIRCLE[:, 0])[..., None] * across[0] +
        (b[..., None] * _CIRCLE[:, 0] +
         c[..., None] * _CIRCLE[:, 1])[..., None] * across[1])
    return points.reshape(len(points), -1, 3)


def _fill(outlines, focal, height, width, soft=0.008):
    """Fill the convex hull of each outline, seen from the camera."""
    mask = np.zeros((height, width), np.uint8)
    before = outlines[..., 2] > NEAR
    with np.errstate(divide='ignore', invalid='ignore'):
        pixel = outlines[..., :2] / outlines[..., 2:] * focal
    pixel += ((width - 1) / 2, (height - 1) / 2)
    # Sixteenths of a pixel, within the range of OpenCV's drawing.
    pixel = np.clip(16 * pixel, -2**18, 2**18).astype(np.int32)
    for points, keep in zip(pixel, before):
        points = points[keep]
        if len(points) > 2:
            cv2.fillConvexPoly(
                mask, cv2.convexHull(points), 255, cv2.LINE_AA, shift=4)
    sigma = soft * np.sqrt(height * width)
    return cv2.GaussianBlur(mask, (0, 0), sigma).astype(np.float32) / 255


def _sky(world, ray_x, ray_y, up):
    """(H, W, 3) from the horizon's colour to the zenith's, with clouds."""
    right, down, forward = np.asarray(up, np.float32)
    rise = right * ray_x + down * ray_y + forward
    rise = np.maximum(rise / np.sqrt(ray_x**2 + ray_y**2 + 1), 0)
    horizon, zenith = world.sky.astype(np.float32)
    sky = horizon + np.sqrt(rise)[..., None] * (zenith - horizon)
    # Clouds lie on a plane above, so they are denser near the horizon.
    clouds = pattern_atlas()[1, -1]
    stretch = len(clouds) / (rise + 0.25)
    column = (stretch * (ray_x + 0 * ray_y) * 0.4).astype(np.int32)
    row = (stretch * 0.5).astype(np.int32)
    cover = clouds[row % len(clouds), column % len(clouds)]
    cover = np.clip(2 * cover - 0.9, 0, 1) * np.minimum(3 * rise, 0.6)
    return sky + cover[..., None] * (0.95 - sky)


def _photograph(image, rng):
    """Lens blur, tone, and noise: linear (H, W, 3) float32 to uint8."""
    sigma, noise, gamma = rng.uniform((0.4, 0.5, 0.75), (0.75, 4., 1.05))
    image = cv2.GaussianBlur(image, (5, 5), sigma)
    image = cv2.pow(np.clip(image, 0, 1), gamma)
    grain = rng.standard_normal(image.shape, np.float32)
    image = cv2.scaleAdd(grain, noise / 255, image)
    return cv2.convertScaleAbs(np.maximum(image, 0), alpha=255)
