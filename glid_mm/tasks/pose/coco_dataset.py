"""Keypoint annotations, checked against the config's keypoints."""
import os.path as osp
import warnings
from collections.abc import Sequence
from contextlib import contextmanager

import numpy as np
from mmengine.fileio import load
from mmpose.datasets.datasets.body import CocoDataset
from xtcocotools.coco import COCO

from ...datasets.coco import (count_unusable_boxes, require_categories,
                              require_fields, require_types,
                              require_unique_ids)
from ...errors import UserError
from ...registry import DATASETS

# Fields that samples need; keypoints may be missing.
FIELDS = dict(
    images=('id', 'file_name', 'height', 'width'),
    annotations=('id', 'image_id', 'category_id', 'bbox'),
    categories=('id', 'name'))
# Fields that the evaluation reads of every annotation, even without keypoints:
# OKS measures distances relative to the area.
EVALUATED = dict(
    FIELDS, annotations=(*FIELDS['annotations'], 'keypoints', 'area'))
BOX = ('image_id', 'category_id', 'bbox', 'score')


@DATASETS.register_module()
class CocoPoseDataset(CocoDataset):
    """Keypoints in COCO's format, COCO's 17 or any others.

    One sample per annotated person (or whatever has the keypoints), or per
    box of ``bbox_file``. Crowds, persons without a labelled keypoint and
    boxes without a width or a height are left out, as in mmpose.

    Args:
        metainfo (dict, optional): Definition of the keypoints in mmpose's
            format, by default COCO's. A ``from_file`` that does not exist is
            looked up in mmpose.
        **kwargs: See ``mmpose.datasets.CocoDataset``. ``bbox_file`` is a JSON
            list of ``image_id``, ``category_id``, ``bbox`` (x, y, width and
            height in pixels) and ``score``, as in COCO's box results.

    Raises:
        UserError: If ``metainfo`` contradicts itself, a file cannot be read,
            the annotations lack something or have other keypoints than
            ``metainfo``, a box is not in its image, or there is no person.
    """

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        with warnings.catch_warnings():
            # mmpose's own data sets name a file of its repository, which it
            # finds in its installation.
            warnings.filterwarnings('ignore', 'The metainfo config file')
            try:
                metainfo = super()._load_metainfo(metainfo)
            except FileNotFoundError as error:
                raise UserError(str(error)) from error
            except KeyError as error:
                raise UserError(
                    f'the metainfo of keypoints has no {error}: each keypoint '
                    "needs a name, and 'swap' and 'link' take these names."
                ) from error
            except AssertionError as error:
                raise UserError(
                    f'the metainfo of keypoints has {", ".join(metainfo)}. It '
                    'needs dataset_name, keypoint_info, skeleton_info, '
                    'joint_weights and sigmas.') from error
        _check_metainfo(metainfo)
        return metainfo

    def load_data_list(self) -> list[dict]:
        """Samples of the annotation file, or of ``bbox_file``.

        Returns:
            The samples, at least one.
        """
        for name in ('ann_file', 'bbox_file'):
            path = getattr(self, name)
            if path and not osp.isfile(path):
                cure = ('. To use the boxes of the annotations, set '
                        'test_dataloader.dataset.bbox_file=None.')
                raise UserError(f'there is no {name} {path}' +
                                (cure if name == 'bbox_file' else ''))
        try:
            samples = super().load_data_list()
        except UserError:
            raise
        except Exception:
            # Hosts do not name the entry.
            with _reading(self.ann_file):
                content = load(self.ann_file)
            require_fields(self.ann_file, content, FIELDS)
            texts = [
                image['id'] for image in content['images']
                if isinstance(image['id'], str)
            ]
            if texts:
                raise UserError(
                    f'{self.ann_file}: {len(texts)} ids of images are strings,'
                    f' such as {texts[0]!r}. mmpose needs integers.')
            raise
        if not samples:
            raise UserError(
                f'{self.bbox_file or self.ann_file}: no person in any image. '
                + ('The boxes have other categories than the keypoint '
                   'annotations.' if self.bbox_file else
                   'A person is an annotation with "bbox", "keypoints" with '
                   'at least one labelled, and no "iscrowd".'))
        if not self.bbox_file and not any(
                np.any(sample['keypoints_visible'] > 0) for sample in samples):
            raise UserError(
                f'{self.ann_file}: no keypoint of any person is labelled. The '
                'third number of a keypoint is 0 if it is not labelled, 1 if '
                'it is occluded and 2 if it is visible.')
        return samples

    def _load_annotations(self) -> tuple:
        """Annotations, after a check of the whole file."""
        with _reading(self.ann_file):
            annotations = super()._load_annotations()
        self._check_file(self.coco)
        return annotations

    def _check_file(self, coco: COCO) -> None:
        """Find errors that would otherwise appear only in evaluation."""
        require_types(self.ann_file, coco.dataset, FIELDS)
        require_unique_ids(self.ann_file, coco.dataset)
        count_unusable_boxes(
            self.ann_file,
            dict(
                coco.dataset,
                annotations=[
                    annotation
                    for annotation in coco.dataset.get('annotations', ())
                    if 'bbox' in annotation
                ]))
        # COCO's own test images have no annotations.
        if self.test_mode and coco.dataset.get('annotations'):
            require_fields(self.ann_file, coco.dataset, EVALUATED)
            require_categories(self.ann_file, coco.dataset)
        self._check_order(coco)

    def _check_order(self, coco: COCO) -> None:
        """Check that keypoints have the order of ``metainfo``."""
        ours = list(self.metainfo['keypoint_name2id'])
        for category in coco.dataset.get('categories', ()):
            names = category.get('keypoints', ours)
            # Different names may be other spellings; a different order is an
            # error.
            if names != ours and sorted(names) == sorted(ours):
                raise UserError(
                    f'{self.ann_file}: the keypoints of {category["name"]} '
                    f'are {", ".join(names)}; the metainfo of the data set '
                    f'has them in another order: {", ".join(ours)}. Use '
                    'the order of the file.')

    def _check_count(self, annotation: dict) -> int:
        """Check that an annotation has no keypoints or all of ``metainfo``."""
        count = len(annotation.get('keypoints', ()))
        wanted = self.metainfo['num_keypoints']
        if count not in (0, 3 * wanted):
            raise UserError(
                f'{self.ann_file}: annotation {annotation["id"]} of image '
                f'{annotation["image_id"]} has {count / 3:g} keypoints (x, y '
                'and visibility each), but the metainfo of the data set has '
                f'{wanted}: {", ".join(self.metainfo["keypoint_name2id"])}. '
                'Give the data sets the metainfo of these keypoints, and set '
                'model.backbone.num_queries to their number.')
        return count // 3

    def parse_data_info(self, raw_data_info: dict) -> dict | None:
        """Make a sample of an annotation.

        Args:
            raw_data_info: ``raw_ann_info`` and ``raw_img_info``.

        Returns:
            The sample; None if it has no keypoints.
        """
        annotation = raw_data_info['raw_ann_info']
        if not self._check_count(annotation):
            return None
        if 'bbox' in annotation:
            _check_box(annotation['bbox'], raw_data_info['raw_img_info'],
                       f'{self.ann_file}: annotation {annotation["id"]}')
        return super().parse_data_info(raw_data_info)

    def _load_detection_results(self) -> list[dict]:
        """Samples of detected boxes.

        mmpose's always takes category 1, even if the annotations have another.
        """
        with _reading(self.ann_file):
            coco = COCO(self.ann_file)
        self._check_file(coco)
        with _reading(self.bbox_file):
            boxes = load(self.bbox_file)
        if not isinstance(boxes, list):
            raise UserError(
                f'{self.bbox_file} is not a list of boxes. It must have '
                "COCO's format of box results: a JSON list of objects with "
                f'{", ".join(BOX)}.')
        require_fields(self.bbox_file, dict(boxes=boxes), dict(boxes=BOX))
        categories = {
            category['id']
            for category in coco.dataset['categories']
            if category.get('keypoints')
        } | {
            annotation['category_id']
            for annotation in coco.dataset.get('annotations', ())
            if self._check_count(annotation)
        }
        count = self.metainfo['num_keypoints']
        samples = []
        for number, found in enumerate(boxes):
            box = found['bbox']
            if found['category_id'] not in categories or min(box[2:]) <= 0:
                continue
            image = coco.imgs.get(found['image_id'])
            if image is None:
                raise UserError(
                    f'{self.bbox_file}: box {number} is in image '
                    f'{found["image_id"]}, which {self.ann_file} does not '
                    'have. Use a file with boxes of its images.')
            _check_box(box, image, f'{self.bbox_file}: box {number}')
            corners = [*box[:2], box[0] + box[2], box[1] + box[3]]
            samples.append(
                dict(
                    id=number,
                    img_id=image['id'],
                    img_path=osp.join(self.data_prefix['img'],
                                      image['file_name']),
                    category_id=found['category_id'],
                    bbox=np.array([corners], np.float32),
                    bbox_score=np.array([found['score']], np.float32),
                    # Unknown, but transforms need keypoints.
                    keypoints=np.zeros((1, count, 2), np.float32),
                    keypoints_visible=np.zeros((1, count), np.float32)))
        return samples


def _check_box(box: Sequence[float], image: dict, what: str) -> None:
    """Check that a box overlaps its image.

    Raises:
        UserError: If it lies outside.
    """
    x, y, w, h = box
    if x >= image['width'] or y >= image['height'] or x + w < 0 or y + h < 0:
        raise UserError(
            f'{what} has the box {list(box)} (x, y, width, height in '
            f'pixels), which lies outside its image {image["file_name"]} of '
            f'{image["width"]}×{image["height"]} px. Correct the box, or the '
            "image's width and height.")


def _check_metainfo(metainfo: dict) -> None:
    """Check that a definition of keypoints is consistent.

    Raises:
        UserError: If it contradicts itself.
    """
    what = f'the metainfo of {metainfo["dataset_name"]!r}'
    count = metainfo['num_keypoints']
    names = list(metainfo['keypoint_id2name'].values())
    if (list(metainfo['keypoint_id2name']) != list(range(count))
            or len(set(names)) < count):
        raise UserError(f'{what}: keypoint_info must number its keypoints '
                        '0, 1, 2, … and give each a unique name. Its '
                        f'names are {", ".join(names)}.')
    for key, ours in (('sigmas', 'sigmas'), ('joint_weights',
                                             'dataset_keypoint_weights')):
        if len(metainfo[ours]) != count:
            raise UserError(f'{what} has {len(metainfo[ours])} {key} for '
                            f'{count} keypoints: {", ".join(names)}. Give '
                            'each keypoint one, in this order.')
    swap = metainfo['flip_indices']
    for left, right in enumerate(swap):
        if swap[right] != left:
            raise UserError(
                f'{what}: a flip turns {names[left]} into {names[right]}, '
                f'but {names[right]} into {names[swap[right]]}. The keypoints '
                "of a pair must name each other in 'swap'.")


@contextmanager
def _reading(path: str):
    """Name a file that is not JSON, or not in COCO's format.

    Raises:
        UserError: If a file cannot be read.
    """
    try:
        yield
    except (ValueError, AssertionError) as error:
        raise UserError(f'{path} cannot be read: {error}') from error
