"""COCO annotations whose classes are those of the config, or an error."""
from collections import Counter
from typing import List, Sequence

from mmdet import datasets
from mmdet.datasets.api_wrappers import COCO

from ...datasets.classes import require_names
from ...datasets.coco import (count_unusable_boxes, require_categories,
                              require_fields, require_unique_ids)
from ...errors import UserError
from ...registry import DATASETS

# What training and COCO's evaluation read.
FIELDS = dict(
    images=('id', 'file_name', 'height', 'width'),
    annotations=('id', 'image_id', 'category_id', 'bbox', 'area', 'iscrowd'),
    categories=('id', 'name'))


class CheckedCOCO(COCO):
    """COCO's reader; it says what is wrong with a file.

    Args:
        annotation_file (str): A JSON of COCO's instances format.

    Raises:
        UserError: If the file cannot be read, lacks something, or has
            annotations of categories that it does not list.
    """

    def __init__(self, annotation_file: str) -> None:
        self.file = annotation_file
        try:
            super().__init__(annotation_file)
        except (OSError, ValueError, AssertionError) as error:
            raise UserError(f'the annotation file {annotation_file} cannot '
                            f'be read: {error}') from error

    def createIndex(self) -> None:
        """Check the file's structure, then index it."""
        require_fields(self.file, self.dataset, FIELDS)
        require_categories(self.file, self.dataset)
        require_unique_ids(self.file, self.dataset)
        count_unusable_boxes(self.file, self.dataset)
        for annotation in self.dataset['annotations']:
            # mmdet leaves such boxes out; the area of a mask says nothing
            # about a box.
            if not annotation['area'] > 0:
                _, _, width, height = annotation['bbox']
                annotation['area'] = width * height
        super().createIndex()

    def get_cat_ids(
        self,
        cat_names: Sequence[str] = (),
        sup_names: Sequence[str] = (),
        cat_ids: Sequence[int] = ()
    ) -> List[int]:
        """Ids of the classes, which are those of the file, in its order.

        mmdet numbers classes by the order of the file: names that are missing
        there or in another order would come to stand for other classes.

        Raises:
            UserError: If names and file do not agree.
        """
        require_names(cat_names)
        cats = self.dataset['categories']
        used = Counter(a['category_id'] for a in self.dataset['annotations'])
        # Some tools write a category that only holds the others together.
        here = [
            c['name'] for c in cats if c['name'] in cat_names or used[c['id']]
        ]
        missing = [name for name in cat_names if name not in here]
        left_out = [name for name in here if name not in cat_names]
        if missing or left_out or here != list(cat_names):
            raise UserError(
                f'the {len(cat_names)} classes of the config are not the '
                f'{len(here)} of {self.file}. '
                f'Not in the file: {", ".join(missing) or "none"}. '
                f'Only in the file: {", ".join(left_out) or "none"}. Set '
                f'metainfo=dict(classes={_some(here)}) of the data sets and '
                f'num_classes={len(here)} of the head; the order is that of '
                "the file. To leave annotated classes out, use mmdet's "
                "type='CocoDataset'.")
        return super().get_cat_ids(cat_names, sup_names, cat_ids)


@DATASETS.register_module()
class CocoDataset(datasets.CocoDataset):
    """mmdet's ``CocoDataset``; classes that do not fit are an error.

    Files without annotations, such as COCO's test-dev, are for mmdet's own.

    Args:
        **kwargs: See ``mmdet.datasets.CocoDataset``.

    Raises:
        UserError: If the annotation file is not in order or has other
            classes than ``metainfo``.
    """

    COCOAPI = CheckedCOCO


def _some(names: Sequence[str]) -> str:
    """A tuple as Python writes it, cut where nobody reads on."""
    shown = ', '.join(map(repr, names[:20]))
    return f'({shown}, ...)' if len(names) > 20 else f'({shown},)'
