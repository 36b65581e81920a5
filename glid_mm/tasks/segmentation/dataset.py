"""A data set of images and label maps in folders."""
import os.path as osp
from collections.abc import Sequence

from mmengine import fileio
from mmseg.datasets import BaseSegDataset

from ...datasets.folders import SUFFIXES, list_images
from ...errors import UserError
from ...registry import DATASETS


@DATASETS.register_module()
class SemanticDataset(BaseSegDataset):
    """mmseg's ``BaseSegDataset`` for images of any format.

    Every image in a folder or its subfolders has its label map at the same
    place in the other folder, with the same name except for the suffix.
    :mod:`glid_mm.datasets.folders` describes the reading of folders.

    Args:
        img_suffix: Suffixes of images, in lower case.
        **kwargs: See ``mmseg.datasets.BaseSegDataset``. Lines of ``ann_file``
            name images without their suffix. If images and label maps have
            different names, a line has the image's path, a tab, and the label
            map's path, relative to their folders.

    Raises:
        UserError: If there is no image, images or label maps are missing, or
            two images have the same label map; with their number and names.
    """

    def __init__(self, img_suffix: Sequence[str] = SUFFIXES, **kwargs) -> None:
        super().__init__(img_suffix=tuple(img_suffix), **kwargs)

    @classmethod
    def get_label_map(cls,
                      new_classes: Sequence[str] | None = None) -> dict | None:
        """mmseg's map of labels, where 255 means an omitted class.

        Args:
            new_classes: Names of the selected classes.

        Returns:
            The map, or None if all classes are selected. If 255 is one of
            more than 255 classes, -1 means an omitted class.
        """
        label_map = super().get_label_map(new_classes)
        if label_map and len(new_classes) > 255:
            chosen = {*new_classes}
            label_map.update({
                i: -1
                for i, name in enumerate(cls.METAINFO['classes'])
                if name not in chosen
            })
        return label_map

    def load_data_list(self) -> list[dict]:
        """Find images and label maps.

        Returns:
            ``img_path`` and, if there is a folder of label maps,
            ``seg_map_path`` of each, ordered by name or as in ``ann_file``.
        """
        folder = self.data_prefix['img_path']
        labels = self.data_prefix.get('seg_map_path')
        samples = []
        for image, label_map in self._pairs(folder):
            sample = dict(
                img_path=osp.join(folder, image),
                label_map=self.label_map,
                reduce_zero_label=self.reduce_zero_label,
                seg_fields=[])
            if labels is not None:
                sample['seg_map_path'] = osp.join(labels, label_map)
            samples.append(sample)
        missing = [
            s['seg_map_path'] for s in samples if 'seg_map_path' in s
            and not fileio.exists(s['seg_map_path'], self.backend_args)
        ]
        self._refuse('label maps', missing, samples, labels)
        return samples

    def _pairs(self, folder: str) -> list[tuple[str, str]]:
        """Pairs of images and label maps, relative to their folders."""
        lines = []
        if self.ann_file:
            text = fileio.get_text(
                self.ann_file, backend_args=self.backend_args)
            lines = [line.strip() for line in text.splitlines()]
            lines = [line for line in lines if line]
        if any('\t' in line for line in lines):
            alone = [line for line in lines if line.count('\t') != 1]
            if alone:
                raise UserError(
                    f'{self.ann_file}: {len(alone)} of {len(lines)} lines do '
                    'not name an image and its label map with a tab between '
                    f'them, the first being {alone[0]!r}.')
            pairs = [tuple(line.split('\t')) for line in lines]
            self._refuse(f'images that {self.ann_file} names', [
                image for image, _ in pairs if
                not fileio.exists(osp.join(folder, image), self.backend_args)
            ], pairs, folder)
            return pairs
        images = self._images(folder)
        self._refuse(f'images that {self.ann_file} names',
                     [line for line in lines if line not in images], lines,
                     folder)
        return [(images[stem], stem + self.seg_map_suffix)
                for stem in (lines if self.ann_file else images)]

    def _images(self, folder: str) -> dict[str, str]:
        """Images by their names without suffixes."""
        images: dict[str, str] = {}
        for name in list_images(folder, self.img_suffix, self.backend_args):
            stem = osp.splitext(name)[0]
            if stem in images:
                raise UserError(
                    f'{images[stem]} and {name} in {folder} would have the '
                    f'same label map, {stem}{self.seg_map_suffix}. Rename '
                    'one of them.')
            images[stem] = name
        if not images:
            raise UserError(
                f'there are no images in {folder or "the current folder"} or '
                f'its subfolders ({", ".join(self.img_suffix)}). Check '
                'data_root and data_prefix.img_path of the data set.')
        return images

    @staticmethod
    def _refuse(what: str, missing: list, of: list, folder: str) -> None:
        if missing:
            raise UserError(
                f'{len(missing)} of {len(of)} {what} are missing in '
                f'{folder}, the first being {missing[0]}. Check data_root, '
                'data_prefix, ann_file and seg_map_suffix of the data set.')
