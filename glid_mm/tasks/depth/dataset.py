"""A data set of images and depth maps, from folders or a list."""
import os.path as osp
from collections.abc import Iterator

from mmengine import fileio
from mmseg.datasets import BaseSegDataset

from ...datasets.folders import list_images
from ...errors import UserError
from ...registry import DATASETS


@DATASETS.register_module()
class DepthDataset(BaseSegDataset):
    """Images and depth maps.

    Without ``ann_file``, every image in a folder or its subfolders has its
    depth map at the same place in the other folder, with the same name except
    for the suffix, as in mmseg's ``NYUDataset``. With it, each line names an
    image and its depth map, relative to the folders and separated by a space,
    or by a tab if names contain spaces. The rest of a line is ignored, as in
    the usual lists of NYUv2 and KITTI; lines whose depth map is ``None`` are
    left out.

    Args:
        data_prefix: Folders ``img_path`` and ``depth_map_path``.
        ann_file: The list, if there is one.
        img_suffix (str | tuple[str]): Suffix of images.
        depth_map_suffix: Suffix of depth maps.
        depth_rescale_factor: Metres per unit of the depth maps; by default
            that of ``LoadDepth`` in the pipeline.
        **kwargs: See ``mmseg.datasets.BaseSegDataset``.

    Raises:
        UserError: If files or folders are missing, with their number and
            names; or if there is no pair.
    """
    METAINFO = dict(classes=(), palette=[])

    def __init__(self,
                 data_prefix: dict = dict(
                     img_path='images', depth_map_path='depth'),
                 ann_file: str = '',
                 img_suffix=('.jpg', '.jpeg', '.png'),
                 depth_map_suffix: str = '.png',
                 depth_rescale_factor: float | None = None,
                 **kwargs) -> None:
        self.depth_rescale_factor = depth_rescale_factor
        self.depth_map_suffix = depth_map_suffix
        # Compare in lower case, because cameras write upper case.
        suffixes = [img_suffix] if isinstance(img_suffix, str) else img_suffix
        super().__init__(
            ann_file=ann_file,
            img_suffix=tuple(suffix.lower() for suffix in suffixes),
            data_prefix=data_prefix,
            **kwargs)

    def load_data_list(self) -> list[dict]:
        """Find the pairs.

        Returns:
            ``img_path`` and ``depth_map_path`` of each, and
            ``depth_rescale_factor`` if the data set has one.
        """
        images, depths = (
            self.data_prefix[key] for key in ('img_path', 'depth_map_path'))
        pairs = [(osp.join(images, image), osp.join(depths, depth))
                 for image, depth in self._names(images)]
        if not pairs:
            raise UserError('there is no pair of image and depth map ' + (
                f'in the list {self.ann_file}' if self.ann_file else
                f'in the folder {images} or below: no image ends in '
                f'{" or ".join(self.img_suffix)} (img_suffix)'))
        missing = [
            path for pair in pairs for path in pair
            if not fileio.exists(path, self.backend_args)
        ]
        if missing:
            raise UserError(
                f'{len(missing)} files of {len(pairs)} pairs of image and '
                f'depth map are missing, the first being {missing[0]}. Check '
                'data_root, data_prefix, ann_file and depth_map_suffix of '
                'the data set.')
        unit = {}
        if self.depth_rescale_factor is not None:
            unit['depth_rescale_factor'] = self.depth_rescale_factor
        return [
            dict(img_path=image, depth_map_path=depth, seg_fields=[], **unit)
            for image, depth in pairs
        ]

    def _names(self, images: str) -> Iterator[tuple[str, str]]:
        """Pairs of an image and a depth map, relative to their folders."""
        if self.ann_file:
            try:
                lines = fileio.get_text(
                    self.ann_file,
                    backend_args=self.backend_args).splitlines()
            except OSError as error:
                raise UserError(f'the list of pairs {self.ann_file} (ann_file '
                                f'of {type(self).__name__}) cannot be read: '
                                f'{error}') from error
            for number, line in enumerate(lines, 1):
                # A tab if names contain spaces.
                fields = line.split('\t' if '\t' in line else None)
                if len(fields) == 1:
                    raise UserError(
                        f'{self.ann_file}, line {number}: {line!r} names one '
                        'file. Each line names an image and its depth map.')
                if fields and fields[1] != 'None':
                    # Some lists are relative to the data set's root.
                    yield fields[0].lstrip('/'), fields[1].lstrip('/')
            return
        for image in list_images(images, self.img_suffix, self.backend_args):
            yield image, osp.splitext(image)[0] + self.depth_map_suffix
