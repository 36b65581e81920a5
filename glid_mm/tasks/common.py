"""What the tasks' models have in common."""
from typing import Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.layers.tokens import STRIDES


def padding_mask(inputs: Tensor,
                 metas: Optional[Sequence[dict]]) -> Optional[Tensor]:
    """Where the images of a batch are padding.

    Args:
        inputs (Tensor): ``(B, 3, H, W)``; the hosts' preprocessors pad to
            the right and below.
        metas (Sequence[dict], optional): Per image ``img_shape``, the height
            and width that are not padding; no metas, no padding.

    Returns:
        Tensor, optional: ``(B, H, W)`` bool, True at padding; None if there
        is none.
    """
    size = tuple(inputs.shape[-2:])
    shapes = [tuple(meta['img_shape'][:2]) for meta in metas or ()]
    if all(shape == size for shape in shapes):
        return None
    mask = torch.ones(
        len(inputs), *size, dtype=torch.bool, device=inputs.device)
    for image, (height, width) in zip(mask, shapes):
        image[:height, :width] = False
    return mask


def full_size(maps: Tensor, size: Tuple[int, int]) -> Tensor:
    """Bring maps of the finest stride to the size of the input.

    Args:
        maps (Tensor): ``(B, C, ⌈H/4⌉, ⌈W/4⌉)``.
        size (tuple[int, int]): H and W.

    Returns:
        Tensor: ``(B, C, H, W)``, bilinear.
    """
    # A map covers its whole last row and column of 4×4 patches, which the
    # image may not fill.
    full = [STRIDES[0] * side for side in maps.shape[-2:]]
    maps = F.interpolate(maps, full, mode='bilinear')
    return maps[..., :size[0], :size[1]]
