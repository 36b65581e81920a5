"""Ray casting into a depth buffer and a surface buffer.

The ray of pixel (column i, row j) is ``((i - (W-1)/2) / f, (j - (H-1)/2) / f,
1)`` with ``f`` in pixels, so that the ray's parameter is the depth along the
optical axis. Pixel centres have integer coordinates.
"""
import numpy as np

from .world import FAR, NEAR


def rasterise(surfaces, focal, height, width):
    """Find the nearest surface of every pixel.

    Args:
        surfaces: P ``Surfaces`` in the camera's frame.
        focal: focal length in pixels.
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        tuple: depth (H, W) float32 in metres, ``FAR`` without a nearer
        surface; surface (H, W) int32, the index into ``surfaces``, -1 for
        none.
    """
    depth = np.full((height, width), FAR, np.float32)
    index = np.full((height, width), -1, np.int32)
    x0, x1, y0, y1 = _bounds(surfaces, focal, height, width)
    # A plane seen from behind is hidden by its solid.
    flat = ~surfaces.a.any((1, 2))
    drawn = np.flatnonzero((x0 < x1) & (y0 < y1) & ~(flat & (surfaces.c <= 0)))
    surfaces, flat = surfaces.select(drawn), flat[drawn].tolist()
    limited = surfaces.slabs.any(-1).sum(-1).tolist()
    x0, x1, y0, y1 = (edge[drawn] for edge in (x0, x1, y0, y1))

    # Polynomials in the pixel's offset (du, dv) from the middle of the
    # bounds: fit for float32, as nothing cancels there. On the ray r,
    # t = c / (-b'r +- sqrt(disc)) with disc = r'(bb' - cA)r.
    middle_x, middle_y = (x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2
    ray = np.stack([(middle_x - (width - 1) / 2) / focal,
                    (middle_y - (height - 1) / 2) / focal,
                    np.ones(len(drawn))], 1)
    m = (
        surfaces.b[:, :, None] * surfaces.b[:, None] -
        surfaces.c[:, None, None] * surfaces.a)
    m[:, :, :2] /= focal
    m[:, :2] /= focal
    scaled = ray * (focal, focal, 1)
    m_ray = np.einsum('pij,pj->pi', m, scaled)
    disc = np.stack([
        np.einsum('pi,pi->p', m_ray, scaled), 2 * m_ray[:, 0], m[:, 0, 0],
        2 * m_ray[:, 1], m[:, 1, 1], 2 * m[:, 0, 1]
    ], 1).tolist()
    slope = (-surfaces.b / (focal, focal, 1)).tolist()
    mid_slope = -np.einsum('pi,pi->p', surfaces.b, ray)
    slab_ray = np.einsum('pki,pi->pk', surfaces.slabs[..., :3], ray).tolist()
    slabs = (surfaces.slabs / (focal, focal, 1, 1)).tolist()

    columns = np.arange(width, dtype=np.float32)
    rows = np.arange(height, dtype=np.float32)[:, None]
    corners = np.stack([x0, x1, y0, y1], 1).tolist()
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        for k, (left, right, top, bottom) in enumerate(corners):
            du = columns[left:right] - float(middle_x[k])
            dv = rows[top:bottom] - float(middle_y[k])
            view = slice(top, bottom), slice(left, right)
            c = float(surfaces.c[k])
            turn = (float(mid_slope[k]) + slope[k][0] * du) + slope[k][1] * dv
            if flat[k]:
                roots = [(0.5 * c) / turn]
            else:
                d0, d1, d11, d2, d22, d12 = disc[k]
                root = (d1 + d11 * du) * du + d0
                root = root + (d2 + d22 * dv) * dv
                root += (d12 * du) * dv
                # NaN if the ray misses, so every comparison is False.
                np.sqrt(root, out=root)
                roots = [c / (turn + root)]
                # The far side is visible only where the near side is cut off.
                if limited[k]:
                    roots.append(c / (turn - root))
            for t in roots:
                nearest = (t < depth[view]) & (t > NEAR)
                for i in range(limited[k]):
                    s0, s1, _, s3 = slabs[k][i]
                    place = (slab_ray[k][i] + s0 * du) + s1 * dv
                    place *= t
                    place += s3
                    np.abs(place, out=place)
                    nearest &= place <= 1
                np.copyto(depth[view], t, where=nearest)
                np.copyto(index[view], drawn[k], where=nearest)
    return depth, index


def _bounds(surfaces, focal, height, width):
    """Columns [x0, x1) and rows [y0, y1) that can see each surface."""
    centre = surfaces.hull_centre
    # The outline of an ellipsoid is the dual conic EE' - cc'.
    conic = (
        surfaces.hull_axes @ surfaces.hull_axes.swapaxes(-1, -2) -
        centre[..., :, None] * centre[..., None, :])
    reach = np.linalg.norm(surfaces.hull_axes[..., 2, :], axis=-1)
    with np.errstate(invalid='ignore'):
        before = (centre[..., 2] - reach > NEAR).all(1)
    edges = []
    for axis, size in ((0, width), (1, height)):
        cross, last = conic[..., axis, 2], conic[..., 2, 2]
        with np.errstate(divide='ignore', invalid='ignore'):
            spread = np.sqrt(
                np.maximum(cross**2 - conic[..., axis, axis] * last, 0))
            low = ((cross + spread) / last).min(1) * focal + (size - 1) / 2
            high = ((cross - spread) / last).max(1) * focal + (size - 1) / 2
        # Surfaces that reach behind the camera may be visible anywhere.
        low = np.where(before, low, 0)
        high = np.where(before, high, size - 1)
        # A rounding error must not lose a pixel.
        edges.append(np.clip(np.ceil(low - 1e-6), 0, size).astype(int))
        edges.append(np.clip(np.floor(high + 1e-6) + 1, 0, size).astype(int))
    return edges
