"""Load COCO's panoptic PNGs for a model.

In a pipeline, a map holds the index of each pixel's segment, starting at 1,
and 0 for none. When packed, it has the values that mmdet's models predict:
class + 1000 · number of the object, 0 for stuff, and the number of classes for
empty pixels. Objects of a crowd have the number -1.
"""
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.datasets.transforms import PackDetInputs
from mmdet.evaluation import INSTANCE_OFFSET
from mmengine import fileio
from mmengine.structures import InstanceData, PixelData

from ...datasets.decode import ImageError, naming, open_image
from ...errors import UserError
from ...registry import TRANSFORMS


def segment_ids(png: np.ndarray) -> np.ndarray:
    """Convert colours to COCO's ids.

    Args:
        png: ``(H, W, 3)`` uint8 RGB.

    Returns:
        ``(H, W)`` int32, R + 256·G + 256²·B.
    """
    red, green, blue = np.moveaxis(png.astype(np.int32), -1, 0)
    return red + (green << 8) + (blue << 16)


def colours(ids: np.ndarray) -> np.ndarray:
    """Convert COCO's ids to colours, the inverse of :func:`segment_ids`."""
    return np.stack([ids >> shift & 255 for shift in (0, 8, 16)],
                    -1).astype(np.uint8)


@TRANSFORMS.register_module()
class LoadPanopticMap(BaseTransform):
    """Read an image's PNG of segments.

    mmdet's ``LoadPanopticAnnotations`` does the same, but needs panopticapi
    and makes one mask per object, each of which must be resized.

    Required keys: ``ori_shape``, and from the data set ``seg_map_path``,
    ``segments_info`` and ``num_classes``; an image without these passes
    unchanged. Added keys: ``gt_seg_map``, ``(H, W)`` uint8 or uint16, which
    mmdet's transforms support; and ``segment_codes``, the packed value of each
    index.

    Args:
        backend_args: See ``mmengine.fileio.get``.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Read the map.

        Args:
            results: Results of a pipeline.

        Returns:
            The results with the map.

        Raises:
            UserError: If the PNG is missing or cannot be read, is not as
                large as its image, or has segments that the annotations do
                not list.
        """
        path = results.get('seg_map_path')
        if path is None:
            return results
        try:
            image = open_image(fileio.get(path, self.backend_args), path)
            with naming(path):
                ids = segment_ids(np.array(image.convert('RGB')))
        except (ImageError, OSError) as error:
            reason = getattr(error, 'reason', error)
            raise UserError(
                f'the panoptic PNG {path} of {results["img_path"]} cannot be '
                f'read: {reason}. data_prefix.seg of the data set names the '
                'folder of PNGs.') from error
        if ids.shape != tuple(results['ori_shape'][:2]):
            raise UserError(
                f'the panoptic PNG {path} is {ids.shape[0]}×{ids.shape[1]} '
                f'pixels (height × width) and its image {results["img_path"]} '
                f'is {results["ori_shape"][0]}×{results["ori_shape"][1]}. '
                'Their pixels must correspond.')
        segments = results['segments_info']
        numbers = np.zeros(ids.shape,
                           np.uint8 if len(segments) < 256 else np.uint16)
        codes, objects = [results['num_classes']], 0
        for number, segment in enumerate(segments, 1):
            numbers[ids == segment['id']] = number
            objects += segment['is_thing']
            instance = -1 if segment['iscrowd'] else (objects *
                                                      segment['is_thing'])
            codes.append(segment['category'] + instance * INSTANCE_OFFSET)
        strange = ids[(numbers == 0) & (ids != 0)]
        if len(strange):
            raise UserError(
                f'{len(strange)} pixels of the panoptic PNG {path} have ids '
                f'such as {strange[0]} that are not in "segments_info" of '
                f'{results["img_path"]}. PNGs and annotations must come from '
                'the same source; unlabelled pixels have the id 0 (black).')
        results['gt_seg_map'] = numbers
        results['segment_codes'] = np.array(codes, np.int32)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'


@TRANSFORMS.register_module()
class PackPanopticInputs(PackDetInputs):
    """mmdet's ``PackDetInputs`` for maps of :class:`LoadPanopticMap`.

    The data sample has ``gt_panoptic_seg``: ``sem_seg`` ``(1, H, W)`` int32;
    and in ``gt_instances`` the ``codes`` ``(n,)`` and ``labels`` of its
    segments except crowds.
    """

    def transform(self, results: dict) -> dict:
        """Pack; see ``PackDetInputs``."""
        numbers = results.pop('gt_seg_map', None)
        packed = super().transform(results)
        if numbers is None:
            return packed
        codes = results['segment_codes']
        shown = np.bincount(numbers.ravel(), minlength=len(codes)) > 0
        shown &= (codes >= 0) & (codes != results['num_classes'])
        codes = torch.from_numpy(codes)
        sample = packed['data_samples']
        sample.gt_panoptic_seg = PixelData(
            sem_seg=codes[torch.from_numpy(numbers.astype(np.int32))][None])
        # Segments of one kind of stuff are one.
        codes = codes[shown].unique()
        sample.gt_instances = InstanceData(
            codes=codes, labels=codes.long() % INSTANCE_OFFSET)
        return packed
