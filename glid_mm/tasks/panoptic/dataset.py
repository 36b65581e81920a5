"""Instances and panoptic segments in COCO's formats, checked."""
import os.path as osp

from mmdet import datasets
from mmdet.datasets.api_wrappers import COCOPanoptic
from mmengine import fileio

from ...datasets.coco import require_fields, require_unique_ids
from ...errors import UserError
from ...registry import DATASETS
from ..coco import CheckedFile
from ..detection.coco_dataset import CheckedCOCO, CocoDataset


class CheckedMasks(CheckedCOCO):
    """COCO's reader of instances with masks; see :class:`CheckedCOCO`."""

    FIELDS = dict(
        CheckedCOCO.FIELDS,
        annotations=(*CheckedCOCO.FIELDS['annotations'], 'segmentation'))
    setting = 'num_things_classes'


@DATASETS.register_module()
class CocoInstanceDataset(CocoDataset):
    """:class:`CocoDataset` for annotations with masks.

    ``segmentation`` is a list of polygons, or a run-length code, compressed
    or not.
    """

    COCOAPI = CheckedMasks


@DATASETS.register_module()
class ADE20KInstanceDataset(CocoInstanceDataset):
    """ADE20K's 100 things; see ``tools/dataset_converters/ade20k.py``."""

    METAINFO = datasets.ADE20KInstanceDataset.METAINFO


class CheckedSegments(CheckedFile, COCOPanoptic):
    """COCO's reader of panoptic segments; see :class:`CheckedFile`.

    Things come first among the classes, in the order of the file, and stuff
    follows.

    Raises:
        UserError: If the file cannot be read, lacks something, or has
            segments of categories or annotations of images that it does not
            list.
    """

    def createIndex(self) -> None:
        """Check the file's structure, then index it."""
        require_fields(
            self.file, self.dataset,
            dict(
                images=('id', 'file_name', 'height', 'width'),
                annotations=('image_id', 'file_name', 'segments_info'),
                categories=('id', 'name', 'isthing')))
        rows = self.dataset['annotations']
        for part in ('images', 'categories'):
            require_unique_ids(self.file, {part: self.dataset[part]})
        require_unique_ids(
            self.file,
            dict(annotations=[dict(id=r['image_id']) for r in rows]))
        listed = {image['id'] for image in self.dataset['images']}
        known = {category['id'] for category in self.dataset['categories']}
        annotated = set()
        for row in rows:
            annotated.add(row['image_id'])
            where = f'{self.file}, annotation of image {row["image_id"]}'
            if row['image_id'] not in listed:
                raise UserError(f'{where}: the file lists no such image. Add '
                                'it to "images", or remove its annotation.')
            for segment in row['segments_info']:
                if not {'id', 'category_id'} <= segment.keys():
                    raise UserError(
                        f'{where}: the segment {str(segment)[:200]} needs '
                        '"id", its colour in the PNG, and "category_id".')
                if segment['category_id'] not in known:
                    raise UserError(
                        f'{where}: segment {segment["id"]} has category '
                        f'{segment["category_id"]}, which the file does not '
                        'list. Add it to "categories", or give the segment '
                        f'one of these ids: {sorted(known)}.')
        bare = [
            i['id'] for i in self.dataset['images'] if i['id'] not in annotated
        ]
        if bare:
            raise UserError(
                f'{self.file}: {len(bare)} of {len(listed)} images have no '
                f'annotation, the first being image {bare[0]}. Add '
                'annotations, or remove these images.')
        super().createIndex()

    def categories(self) -> list[dict]:
        """Categories in the order of the classes."""
        return sorted(
            self.dataset['categories'], key=lambda c: not c['isthing'])

    def used(self) -> set[int]:
        """Ids of the annotated categories."""
        return {
            segment['category_id']
            for row in self.dataset['annotations']
            for segment in row['segments_info']
        }

    def cure(self, found: list[dict]) -> str:
        """See :class:`CheckedFile`."""
        things = sum(bool(c['isthing']) for c in found)
        return (f'num_things_classes={things} and num_stuff_classes='
                f'{len(found) - things} of panoptic_head; things come first, '
                "each group in the order of the file. To ignore annotated "
                "classes, use mmdet's type='CocoPanopticDataset'.")


@DATASETS.register_module()
class CocoPanopticDataset(datasets.CocoPanopticDataset):
    """mmdet's ``CocoPanopticDataset``; a mismatch is an error.

    The annotations give the names of PNGs. The file defines which classes are
    things: ``metainfo`` gets ``thing_classes``, ``stuff_classes`` and
    ``category_ids`` from it.

    Args:
        data_prefix (dict): ``img`` and ``seg``, folders of images and PNGs.
        **kwargs: See ``mmdet.datasets.CocoPanopticDataset``.

    Raises:
        UserError: If the annotation file is invalid or has other
            classes than ``metainfo``.
    """

    def load_data_list(self) -> list[dict]:
        """Read the annotation file.

        Returns:
            For each image: paths, size, ``num_classes``, and ``segments_info``
            (``id``, ``category``, ``is_thing``, ``iscrowd``).
        """
        with fileio.get_local_path(
                self.ann_file, backend_args=self.backend_args) as path:
            file = CheckedSegments(path)
        self.cat_ids = file.get_cat_ids(self.metainfo['classes'])
        self.cat2label = {id_: i for i, id_ in enumerate(self.cat_ids)}
        self._metainfo['category_ids'] = tuple(self.cat_ids)
        isthing = {id_: bool(c['isthing']) for id_, c in file.cats.items()}
        for name, wanted in ('thing_classes', True), ('stuff_classes', False):
            self._metainfo[name] = tuple(file.cats[id_]['name']
                                         for id_ in self.cat_ids
                                         if isthing[id_] == wanted)
        rows = {row['image_id']: row for row in file.dataset['annotations']}
        return [
            dict(
                img_path=osp.join(self.data_prefix['img'], image['file_name']),
                img_id=image['id'],
                seg_map_path=osp.join(self.data_prefix['seg'],
                                      rows[image['id']]['file_name']),
                height=image['height'],
                width=image['width'],
                num_classes=len(self.cat_ids),
                segments_info=[
                    dict(
                        id=segment['id'],
                        category=self.cat2label[segment['category_id']],
                        is_thing=isthing[segment['category_id']],
                        iscrowd=bool(segment.get('iscrowd')))
                    for segment in rows[image['id']]['segments_info']
                ]) for image in file.dataset['images']
        ]


@DATASETS.register_module()
class ADE20KPanopticDataset(CocoPanopticDataset):
    """ADE20K, 100 things and 50 kinds of stuff; see
    ``tools/dataset_converters/ade20k.py``."""

    METAINFO = datasets.ADE20KPanopticDataset.METAINFO
