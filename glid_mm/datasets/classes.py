"""Names of classes."""
from collections.abc import Sequence

from ..errors import UserError


def require_names(classes: Sequence[str]) -> None:
    """Refuse a string in place of names: its letters would become classes.

    Args:
        classes: Class names from ``metainfo``.

    Raises:
        UserError: If it is a string.
    """
    if isinstance(classes, str):
        raise UserError(
            f'metainfo.classes is the string {classes!r}. Name classes in a '
            f'tuple, with a comma after a single one: ({classes!r},)')
