"""Functions shared by the tasks' models."""
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor, nn

from ..errors import UserError
from ..models import GLID, GLIDOutput, XNet
from ..models.layers.tokens import STRIDES

#: Sizes of images without padding: for each image a dictionary or data sample
#: with ``img_shape`` (height, width, ...), or ``(B, 2)`` int.
Metas = Sequence | Tensor


class Widths(NamedTuple):
    """Input channels of a head, as its attribute ``widths``.

    Attributes:
        in_channels: Channels of queries.
        mask_channels: Channels of mask features, if used.
    """

    in_channels: int
    mask_channels: int | None = None


class Located(NamedTuple):
    """Outputs of queries for an image, and their places.

    A head's ``locate(x, size)`` returns it for the first image of a batch.

    Attributes:
        scores: ``(M,)``, confidence or size of an output.
        points: ``(M, 2)``, x and y in pixels of the input.
    """

    scores: Tensor
    points: Tensor


def centres(maps: Tensor) -> Tensor:
    """Centres of mass of maps of the finest stride.

    Args:
        maps: ``(M, h, w)``, not negative.

    Returns:
        ``(M, 2)``, x and y in pixels of the input.
    """
    height, width = (
        STRIDES[0] * (torch.arange(side, device=maps.device) + .5)
        for side in maps.shape[1:])
    total = maps.sum((1, 2)).clamp(min=1e-12)
    return torch.stack([(maps.sum(1) * width).sum(1) / total,
                        (maps.sum(2) * height).sum(1) / total], 1)


def check_widths(model: nn.Module, name: str) -> None:
    """Raise an error before the first batch if head and backbone do not fit.

    Args:
        model: A model of any task, with its backbone and its head.
        name: Name of the head, such as ``decode_head``; a head without
            :class:`Widths` is not checked.

    Raises:
        UserError: If widths differ; names both and the setting to change.
    """
    # A task of a mixture has a part of the shared GLID.
    glid = getattr(model.backbone, 'glid', model.backbone)
    head = getattr(model, name)
    if isinstance(glid, XNet) and head.in_channels != glid.channels:
        raise UserError(
            f'model.{name}.in_channels is {head.in_channels}, but ×Net makes '
            f'maps of {glid.channels} channels (model.backbone.channels). Set '
            f'model.{name}.in_channels={glid.channels}.')
    if not isinstance(glid, GLID):
        return
    widths = getattr(head, 'widths', ())
    given = ((glid.decoder.dims, 'the decoder makes queries', 'decoder.dims'),
             (glid.neck.channels, 'the neck makes mask features',
              'neck.channels'))
    for setting, wanted, (width, part, source) in zip(Widths._fields, widths,
                                                      given):
        if wanted not in (None, width):
            raise UserError(
                f'model.{name}.{setting} is {wanted}, but {part} of {width} '
                f'channels (model.backbone.{source}). Set '
                f'model.{name}.{setting}={width}.')


def check_answers(setting: str, wanted: int, num_queries: int,
                  num_classes: int) -> None:
    """Refuse more predictions per image than queries have scores.

    Args:
        setting: Key of ``test_cfg`` for their number.
        wanted: Its value.
        num_queries: Number of queries, each with a score for every class.
        num_classes: Number of classes.

    Raises:
        UserError: If there are too few.
    """
    most = num_queries * num_classes
    if wanted > most:
        raise UserError(
            f'test_cfg.{setting}={wanted} is more than the {most} scores that '
            f'{num_queries} queries have for {num_classes} classes. Set it to '
            f'{most} or less.')


def decodes_queries(backbone: nn.Module) -> bool:
    """Whether a backbone decodes queries, and therefore masks padding.

    Args:
        backbone: A GLID, one task's part of a shared GLID, or a backbone of
            maps, which treats padding as part of the image.
    """
    return getattr(backbone, 'queries', None) is not None


def padding_mask(inputs: Tensor, metas: Metas | None) -> Tensor | None:
    """The mask of padding in a batch.

    Args:
        inputs: ``(B, 3, H, W)``; the hosts' preprocessors pad at the right and
            bottom.
        metas: Sizes without padding; by default there is no padding.

    Returns:
        ``(B, H, W)`` bool, True at padding; None without padding.
    """
    sizes = _sizes(inputs, metas)
    if sizes is None:
        return None
    rows, columns = (torch.arange(side, device=inputs.device) >= sizes[:, axis,
                                                                       None]
                     for axis, side in enumerate(inputs.shape[-2:]))
    return rows[:, :, None] | columns[:, None]


def _sizes(inputs: Tensor, metas: Metas | None) -> Tensor | None:
    """Sizes ``(B, 2)`` without padding; None if no image is padded."""
    if metas is None or isinstance(metas, Tensor):
        return metas
    shapes = [tuple(meta.get('img_shape')[:2]) for meta in metas]
    if all(shape == tuple(inputs.shape[-2:]) for shape in shapes):
        return None
    return upload(np.array(shapes), inputs.device)


def upload(array: np.ndarray, device: torch.device) -> Tensor:
    """Copy numbers to a device without waiting for it.

    Args:
        array: Any array.
        device: Target device.

    Returns:
        A tensor of the same shape and type.
    """
    tensor = torch.from_numpy(array)
    if device.type == 'cuda':
        # From unpinned memory, a copy waits for all work of the device.
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def dense_features(model: GLID,
                   inputs: Tensor,
                   metas: Metas | None,
                   focus: Callable | None = None) -> GLIDOutput:
    """Features of a batch for a task that predicts every pixel.

    Args:
        model: The backbone.
        inputs: ``(B, 3, H, W)``, standardised.
        metas: See :func:`padding_mask`.
        focus: Limits the attention of queries; see
            :class:`~.masks.focus.Foreground`; by default no limit.

    Returns:
        Inputs of the head. Mask features extend into padding, so that an
        image's last pixels do not depend on it.
    """
    sizes = _sizes(inputs, metas)
    mask = padding_mask(inputs, sizes)
    x = model.features(inputs, mask) if focus else model(inputs, mask)
    if sizes is not None:
        x = x._replace(mask_features=_extend_edges(x.mask_features, sizes))
    return model.answers(x, focus=focus(x)) if focus else x


def full_size(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps of the finest stride to the size of the input.

    Args:
        maps: ``(B, C, ⌈H/4⌉, ⌈W/4⌉)``.
        size: H and W.

    Returns:
        ``(B, C, H, W)``, bilinear.
    """
    # The last row and column of a map cover whole 4×4 patches, which the image
    # may not fill.
    full = [STRIDES[0] * side for side in maps.shape[-2:]]
    maps = F.interpolate(maps, full, mode='bilinear')
    return maps[..., :size[0], :size[1]]


def mean_over_processes(numbers: Tensor) -> Tensor:
    """Means of numbers over the processes of a run.

    Distributed training averages gradients over processes. A process' sum of
    losses, divided by the mean of all processes' counts, gives the mean of the
    joint batch, as a single process would compute it. If divided by its own
    count, a loss would have more weight in processes with smaller counts.

    Args:
        numbers: Numbers in any shape.

    Returns:
        The same shape, fp32, without a gradient.
    """
    means = numbers.detach().float().clone()
    all_reduce(means, 'mean')
    return means


def _extend_edges(features: Tensor, sizes: Tensor) -> Tensor:
    """Extend an image's last row and column into its padding.

    The last pixels are interpolated with those beyond the edge.

    Args:
        features: ``(B, C, h, w)`` at the finest stride.
        sizes: ``(B, 2)``, height and width of each image.

    Returns:
        The same shape.
    """
    rows, columns = (torch.arange(side, device=features.device).minimum(
        (sizes[:, axis, None] - 1) // STRIDES[0])
                     for axis, side in enumerate(features.shape[-2:]))
    image = torch.arange(
        features.shape[0], device=features.device)[:, None, None]
    extended = features[image, :, rows[:, :, None], columns[:, None]]
    return extended.permute(0, 3, 1, 2)


def losses_by_layer(**terms: Tensor) -> dict:
    """Losses of decoder layers with mmdet's names.

    Args:
        **terms: Losses ``(L,)`` by name, such as ``loss_cls``.

    Returns:
        dict[str, Tensor]: ``loss_cls`` of the last layer, then ``d0.loss_cls``
        and so on of earlier layers.
    """
    layers = len(next(iter(terms.values())))
    return {
        (f'd{i}.' if i < layers - 1 else '') + name: term[i]
        for i in (layers - 1, *range(layers - 1))
        for name, term in terms.items()
    }
