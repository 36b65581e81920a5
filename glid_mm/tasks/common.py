"""What the tasks' models have in common."""
from typing import Optional, Sequence

import torch
from torch import Tensor


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
