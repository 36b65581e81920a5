"""Position biases for another window, as each library resizes its own."""
from typing import Callable, Dict

import numpy as np
import torch
from torch import Tensor

from ..compat import require
from ..models.layers.position_bias import resize_bias_table, table_window


def _geometric(degree: int) -> Callable[[Tensor, int], Tensor]:
    """Resizing that keeps near offsets finer than far ones (BEiT).

    The old offsets 0, 1, 2, … come to lie at 0, 1, 1 + q, 1 + q + q², … with
    the q that brings the last one to the new window's last; in between, a
    spline of the given degree runs.
    """

    def resize(table: Tensor, window: int) -> Tensor:
        require('scipy', task='resizing position biases')
        from scipy.interpolate import RectBivariateSpline
        old = table_window(table)
        places = _places(old - 1, window - 1)
        wanted = np.arange(1 - window, window)
        grids = table.t().unflatten(1, (2 * old - 1, -1)).double().numpy()
        resized = [
            RectBivariateSpline(places, places, grid, kx=degree,
                                ky=degree)(wanted, wanted) for grid in grids
        ]
        resized = torch.from_numpy(np.stack(resized, -1))
        return resized.flatten(0, 1).to(table.dtype)

    return resize


def _places(offsets: int, reach: int) -> np.ndarray:
    """Where the offsets of a table of ``2·offsets + 1`` a side come to lie."""
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        if (ratio**offsets - 1) / (ratio - 1) > reach:
            high = ratio
        else:
            low = ratio
    places = np.cumsum(ratio**np.arange(offsets))
    return np.concatenate([-places[::-1], [0], places])


#: Ways from a table ``((2v−1)², heads)`` and a window w to ``((2w−1)²,
#: heads)``: plainly bicubic (Microsoft, mmdet, mmseg and GLID itself), or with
#: geometric spacing, linearly (timm) or by cubic splines (SimMIM, mmpretrain).
RESIZINGS: Dict[str, Callable[[Tensor, int], Tensor]] = dict(
    bicubic=resize_bias_table,
    geometric_linear=_geometric(1),
    geometric_cubic=_geometric(3))
