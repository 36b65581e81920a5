"""The error for labels that are not a class."""
from collections.abc import Sequence

from ...errors import UserError


def no_class(wrong: Sequence[int], meta: dict, num_classes: int,
             ignore_index: int) -> UserError:
    """The error for labels that are neither a class nor ignored.

    Args:
        wrong: Some of these labels, including the largest, after
            ``reduce_zero_label``.
        meta: Meta information of the label map: ``seg_map_path`` and
            ``reduce_zero_label``, if known.
        num_classes: Number of classes of the model.
        ignore_index: The ignored label.

    Returns:
        The error, which names file, label and cure.
    """
    wrong = [int(label) for label in wrong]
    reduced = bool(meta.get('reduce_zero_label'))
    # The label as it is in the file, where the user will look for it.
    label = max(wrong) + reduced
    first, last = int(reduced), num_classes - 1 + reduced
    cure = ('Correct the file, or set model.decode_head.num_classes and '
            'metainfo.classes of the data sets to all classes')
    # reduce_zero_label reduces labels by one, which fits classes counted from
    # 1.
    if not reduced and set(wrong) == {num_classes}:
        cure += (', or reduce_zero_label=True of the data sets if 0 means '
                 'unlabelled')
    return UserError(
        f'label {label} in {str(meta.get("seg_map_path", "a label map"))!r} '
        f'is not a class: labels are {first} to {last}, or {ignore_index} '
        f'to ignore{", like 0 (reduce_zero_label)" if reduced else ""}. '
        f'{cure}.')
