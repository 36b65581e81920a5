"""Panoptic quality (https://arxiv.org/abs/1801.00868), by COCO's rules."""
import numpy as np
from mmdet.evaluation import INSTANCE_OFFSET


def count_segments(guess: np.ndarray, truth: np.ndarray,
                   num_classes: int) -> np.ndarray:
    """Compare the segments of an image.

    A predicted segment and a true one of the same class match if their IoU
    exceeds ½, without pixels that are void in the truth. Crowds match nothing
    and do not count as missed. A segment without a match is not a mistake if
    more than half of it is void or in a crowd of its class.

    Args:
        guess: ``(H, W)`` int: class + 1000 · number of the object, 0 for
            stuff; the number of classes for empty pixels.
        truth: The same; objects of crowds have the number -1.
        num_classes: Number of classes.

    Returns:
        ``(4, num_classes)``: sum of IoU, matches, false positives and false
        negatives.
    """
    # There are far fewer runs of equal pixels than pixels.
    pairs = (truth.astype(np.int64) << 32 | guess.astype(np.int64)).ravel()
    starts = np.flatnonzero(np.diff(pairs, prepend=pairs[0] - 1))
    lengths = np.diff(starts, append=len(pairs))
    real, rows = np.unique(pairs[starts] >> 32, return_inverse=True)
    own, columns = np.unique(pairs[starts] & 2**32 - 1, return_inverse=True)
    pixels = np.zeros((len(real), len(own)), int)
    np.add.at(pixels, (rows, columns), lengths)
    void, crowd = real == num_classes, real < 0
    real, own = real % INSTANCE_OFFSET, own % INSTANCE_OFFSET
    same = (real[:, None] == own) & (own != num_classes)
    nowhere = pixels[void].sum(0)
    union = pixels.sum(1)[:, None] + pixels.sum(0) - pixels - nowhere
    # Segments that are entirely void have an empty union.
    iou = pixels / np.maximum(union, 1)
    match = same & ~(void | crowd)[:, None] & (iou > .5)
    ignored = nowhere + (pixels * (same & crowd[:, None])).sum(0)
    mistake = (own != num_classes) & ~match.any(0) & (
        ignored <= pixels.sum(0) / 2)
    missed = ~(void | crowd) & ~match.any(1)

    def by_class(labels, weights=None):
        return np.bincount(labels, weights, num_classes)

    place, _ = match.nonzero()
    return np.stack([
        by_class(real[place], iou[match]),
        by_class(real[place]),
        by_class(own[mistake]),
        by_class(real[missed])
    ])


def qualities(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Qualities of classes.

    Args:
        counts: ``(4, K)``, the sum of :func:`count_segments` over all images.

    Returns:
        ``PQ`` and its factors ``SQ``, the mean IoU of matches, and ``RQ``, the
        F1 score; ``(K,)`` from 0 to 1, NaN for classes without segments.
    """
    iou, match, mistake, missed = counts
    number = match + (mistake + missed) / 2
    with np.errstate(invalid='ignore'):
        return dict(
            PQ=iou / number,
            SQ=np.where(number > 0, iou / np.maximum(match, 1), np.nan),
            RQ=match / number)
