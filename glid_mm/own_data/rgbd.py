"""Pictures and depth maps in folders."""
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..datasets.decode import ImageError, naming
from ..errors import UserError
from ..io.files import write_atomically
from .checks import require_most
from .data import OwnData, Part
from .pairs import Pairs, find_pairs, hint_of, paired_parts
from .pictures import picture_size, spread
from .tree import Tree
from .words import LeftOut, counted

LAYOUT = ('RGB-D: rgb/*.jpg (or images, color) and depth/*.png of 16 bits or '
          '*.npy in metres, with or without train and val below')
SUFFIXES = ('.png', '.tif', '.tiff', '.npy')
#: Number of depth maps to read to find unit and range.
LOOKED_AT = 100
MILLIMETRES, KITTI = 1000., 256.
# Lidar maps are empty except for some points.
_SPARSE = 0.4
# Floating-point numbers with such a median are not metres.
_METRES = 200
_NEAREST = 0.1
_RANGES = (1, 2, 5, 10, 20, 40, 80)


class DepthData(OwnData):
    """Depth maps.

    Attributes:
        nearest (float): Smallest depth to learn, in metres.
        farthest (float): Largest depth to learn, in metres.
    """

    nearest = _NEAREST
    farthest = 10.

    def head(self) -> dict:
        """See :class:`OwnData`."""
        return {
            'model.decode_head.min_depth': self.nearest,
            'model.decode_head.max_depth': self.farthest
        }

    def dataset(self, out: Path, split: str, part: Part) -> dict:
        """See :class:`OwnData`; ``extra`` is the number of units per metre."""
        lines = [f'{s.picture}\t{s.record}\n' for s in part.samples]
        file = out / f'{split}.txt'
        write_atomically(file, ''.join(lines).encode())
        return {
            'data_root': str(part.root),
            'ann_file': str(file),
            'data_prefix.img_path': str(part.root),
            'data_prefix.depth_map_path': str(part.root),
            'depth_rescale_factor': 1 / part.extra
        }

    def metric(self, dataset: dict) -> dict:
        """See :class:`OwnData`."""
        return dict(min_depth_eval=self.nearest, max_depth_eval=self.farthest)

    def _contents(self) -> list[str]:
        return []


class _Look(NamedTuple):
    """Statistics of the known values of a depth map."""

    values: np.ndarray
    known: float
    floating: bool


def find(tree: Tree, task: str) -> Pairs | None:
    """Pictures and their depth maps, if there are any."""
    return find_pairs(tree, 'depth', SUFFIXES)


def hint(tree: Tree) -> str:
    """Why depth maps are not used."""
    return hint_of(tree, 'depth', SUFFIXES, 'depth maps')


def read(tree: Tree,
         pairs: Pairs,
         task: str,
         classes: Sequence[str] | None = None,
         depth_scale: float | None = None) -> DepthData:
    """Read the files that :func:`find` has found.

    Args:
        tree: The folder.
        pairs: Pictures and depth maps.
        task: ``'depth'``.
        classes: Must be None, because depth has no classes.
        depth_scale: Units per metre; by default guessed.

    Returns:
        The data.

    Raises:
        UserError: If maps are not depth, differ in type, or mostly cannot be
            used.
    """
    left_out = LeftOut()
    parts = paired_parts(tree, pairs, 'depth map', left_out)
    samples = [s for part in parts.values() for s in part.samples]
    looked_at = spread(samples, LOOKED_AT)
    broken, looks = set(), []
    for sample in looked_at:
        look = _look(tree, sample, left_out)
        if look is None:
            broken.add(sample.picture)
        else:
            looks.append(look)
    parts = {k: part.only(broken, inside=False) for k, part in parts.items()}
    require_most(
        len(samples) - len(broken), len(pairs.pairs), left_out, str(tree.root))
    data = DepthData(task, tree.root, 'pictures and depth maps', parts, (),
                     left_out)
    _set_range(data, looks, depth_scale)
    return data


def _look(tree: Tree, sample, left_out: LeftOut) -> _Look | None:
    """Look at a pair; None if it cannot be used."""
    try:
        sample.size = picture_size(tree.path(sample.picture))
        depth = _depth(tree.path(sample.record))
    except ImageError as error:
        left_out.add('pair', 'that cannot be read', str(error))
        return None
    if depth.shape != sample.size[::-1]:
        left_out.add(
            'pair', 'of different sizes',
            f'{sample.picture}: {sample.size[0]}×{sample.size[1]} and '
            f'{depth.shape[1]}×{depth.shape[0]}')
        return None
    known = np.isfinite(depth) & (depth > 0)
    values = depth[known].astype(np.float64)
    return _Look(values[::max(len(values) // 10000, 1)], known.mean(),
                 depth.dtype.kind == 'f')


def _depth(path: Path) -> np.ndarray:
    """The values of a depth map file, ``(H, W)``.

    Raises:
        ImageError: If it cannot be read.
        UserError: If it is not a depth map.
    """
    name = str(path)
    with naming(name):
        if path.suffix.lower() == '.npy':
            depth = np.load(path)
            if depth.ndim == 3 and depth.shape[-1] == 1:
                depth = depth[..., 0]
        else:
            with Image.open(path) as image:
                depth = np.array(image)
    if depth.ndim != 2:
        raise UserError(
            f'the depth map {name} has {depth.shape[-1]} channels. A depth '
            'map has one, of 16 bits or floating point; a coloured picture '
            'of depth cannot be converted back.')
    if depth.dtype in (np.uint8, bool):
        raise UserError(
            f'the depth map {name} has 8 bits, which are too few for '
            'depth. Save it with 16 bits or in floating point.')
    return depth


def _set_range(data: DepthData, looks: list[_Look],
               scale: float | None) -> None:
    """Set unit and range, and add notes about them."""
    kinds = {look.floating for look in looks}
    if len(kinds) > 1:
        raise UserError(
            f'{data.root} mixes depth maps of integers and of floating-point '
            'numbers. Save all of them in one format and unit.')
    values = np.concatenate([look.values for look in looks])
    if not len(values):
        raise UserError(f'{data.root}: every depth that was checked is 0, '
                        'which means unknown. Check the depth maps.')
    known = float(np.mean([look.known for look in looks]))
    if scale is not None:
        if not 0 < scale < np.inf:
            raise UserError(f'depth_scale={scale} must be the number of units '
                            'per metre.')
        why = 'as depth_scale says'
    elif True in kinds and np.median(values) < _METRES:
        scale, why = 1., 'because the numbers are floating point'
    elif known < _SPARSE:
        scale, why = KITTI, ('as in KITTI, because most pixels are unknown, '
                             'as in lidar maps')
    else:
        scale, why = MILLIMETRES, 'millimetres, as most sensors write'
    unit = 'metres' if scale == 1 else f'1/{scale:g} m'
    for part in data.parts.values():
        part.extra = float(scale)
    near, far = np.quantile(values, (.001, .999)) / scale
    data.nearest = _NEAREST if near >= _NEAREST else 1e-3
    data.farthest = float(next((r for r in _RANGES if far <= r), np.ceil(far)))
    data.notes += [
        f'{counted(len(looks), "depth map")} were read: '
        f'{100 * known:.0f} % of their pixels have a depth',
        f'Depth is in {unit}, {why}, so it ranges from {near:.3g} to '
        f'{far:.3g} m; if that is wrong, set depth_scale',
        f'The model predicts {data.nearest:g} to {data.farthest:g} m'
    ]
