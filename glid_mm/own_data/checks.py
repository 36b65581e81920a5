"""Errors for data that is mostly unusable or lacks classes."""
from collections.abc import Sequence

from ..errors import UserError
from .words import LeftOut, counted, listed


def require_most(kept: int, of: int, left_out: LeftOut, what: str) -> None:
    """Refuse data if most of it cannot be used.

    Args:
        kept: Number of usable images.
        of: Number of all images.
        left_out: The reasons.
        what: The data's folder or file.

    Raises:
        UserError: If fewer than half of the images are left, or none.
    """
    if not kept or 2 * kept < of:
        raise UserError(
            f'{what}: {kept:,} of {counted(of, "image")} can be used. Left '
            f'out: {left_out}. Correct the data, or move unrelated files out '
            'of the folder.')


def chosen_classes(asked: Sequence[str] | None, there: Sequence[str],
                   what: str) -> tuple[str, ...]:
    """The classes to train.

    Args:
        asked: Classes named by the user; by default all.
        there: Classes of the data.
        what: The data's folder or file.

    Returns:
        Names, in the order asked for; by default in that of the data.

    Raises:
        UserError: If some are missing.
    """
    if asked is None:
        return tuple(there)
    missing = [name for name in asked if name not in there]
    if missing:
        raise UserError(
            f'{what} has no class {listed(missing)}. Its classes are '
            f'{listed(there, 30)}. Use these names, or omit classes to use '
            'all of them.')
    return tuple(dict.fromkeys(asked))
