"""COCO annotations, checked against the config's classes."""
from mmdet import datasets
from mmdet.datasets.api_wrappers import COCO

from ...datasets.coco import (count_unusable_boxes, require_categories,
                              require_fields, require_unique_ids)
from ...registry import DATASETS
from ..coco import CheckedFile


class CheckedCOCO(CheckedFile, COCO):
    """COCO's reader of instances; see :class:`CheckedFile`.

    Raises:
        UserError: If the file cannot be read, lacks something, or has
            annotations of categories that it does not list.
    """

    # Fields that training and COCO's evaluation read.
    FIELDS = dict(
        images=('id', 'file_name', 'height', 'width'),
        annotations=('id', 'image_id', 'category_id', 'bbox', 'area',
                     'iscrowd'),
        categories=('id', 'name'))

    def createIndex(self) -> None:
        """Check the file's structure, then index it."""
        require_fields(self.file, self.dataset, self.FIELDS)
        require_categories(self.file, self.dataset)
        require_unique_ids(self.file, self.dataset)
        count_unusable_boxes(self.file, self.dataset)
        for annotation in self.dataset['annotations']:
            # mmdet skips such boxes; the area of a mask does not apply to
            # boxes.
            if not annotation['area'] > 0:
                _, _, width, height = annotation['bbox']
                annotation['area'] = width * height
        super().createIndex()


@DATASETS.register_module()
class CocoDataset(datasets.CocoDataset):
    """mmdet's ``CocoDataset``; classes that do not fit are an error.

    For files without annotations, such as COCO's test-dev, use mmdet's class.

    Args:
        **kwargs: See ``mmdet.datasets.CocoDataset``.

    Raises:
        UserError: If the annotation file is invalid or has other
            classes than ``metainfo``.
    """

    COCOAPI = CheckedCOCO
