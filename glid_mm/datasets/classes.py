"""Names of classes."""
from collections.abc import Sequence

from ..errors import UserError


def require_names(classes: Sequence[str]) -> None:
    """Refuse a text in place of names: Python takes it for its letters.

    Args:
        classes (Sequence[str]): What ``metainfo`` says.

    Raises:
        UserError: If it is a text.
    """
    if isinstance(classes, str):
        raise UserError(
            f'metainfo.classes is the string {classes!r}. Name classes in a '
            f'tuple, with a comma after a single one: ({classes!r},)')
