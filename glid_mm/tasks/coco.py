"""Annotation files in COCO's formats, checked against the config's classes."""
from collections.abc import Sequence

from ..datasets.classes import require_names
from ..errors import UserError


class CheckedFile:
    """A mixin for mmdet's readers that reports errors in a file.

    Args:
        annotation_file: A JSON in COCO's format.

    Raises:
        UserError: If the file cannot be read.
    """

    # The head's setting for the number of classes.
    setting = 'num_classes'

    def __init__(self, annotation_file: str) -> None:
        self.file = annotation_file
        try:
            super().__init__(annotation_file)
        except (OSError, ValueError, AssertionError) as error:
            raise UserError(f'the annotation file {annotation_file} cannot '
                            f'be read: {error}') from error

    def categories(self) -> list[dict]:
        """Categories in the order of the classes."""
        return self.dataset['categories']

    def used(self) -> set[int]:
        """Ids of the annotated categories."""
        return {a['category_id'] for a in self.dataset['annotations']}

    def get_cat_ids(
        self,
        cat_names: Sequence[str] = (),
        sup_names: Sequence[str] = (),
        cat_ids: Sequence[int] = ()
    ) -> list[int]:
        """Ids of the classes, in the order of the file.

        mmdet numbers classes by the order of the file: missing or reordered
        names would get wrong classes.

        Raises:
            UserError: If the classes of config and file differ.
        """
        require_names(cat_names)
        used = self.used()
        # Some tools add a category that only groups the others.
        found = [
            c for c in self.categories()
            if c['name'] in cat_names or c['id'] in used
        ]
        here = [c['name'] for c in found]
        missing = [name for name in cat_names if name not in here]
        left_out = [name for name in here if name not in cat_names]
        if missing or left_out or here != list(cat_names):
            raise UserError(
                f'the {len(cat_names)} classes of the config differ from the '
                f'{len(here)} of {self.file}. '
                f'Not in the file: {", ".join(missing) or "none"}. '
                f'Only in the file: {", ".join(left_out) or "none"}. Set '
                f'metainfo=dict(classes={_some(here)}) of the data sets, '
                f'and {self.cure(found)}')
        return [c['id'] for c in found]

    def cure(self, found: list[dict]) -> str:
        """The rest of the cure if the classes of config and file differ."""
        return (f'{self.setting}={len(found)} of the head, in the order '
                "of the file. To ignore annotated classes, use mmdet's "
                "type='CocoDataset'.")


def _some(names: Sequence[str]) -> str:
    """The source of a tuple, shortened if long."""
    shown = ', '.join(map(repr, names[:20]))
    return f'({shown}, ...)' if len(names) > 20 else f'({shown},)'
