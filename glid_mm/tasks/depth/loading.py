"""Read depth maps, with errors that name the file."""
import cv2
import numpy as np
from mmengine import fileio
from mmseg.datasets.transforms import LoadDepthAnnotation
from mmseg.utils import datafrombytes

from ...datasets.decode import ImageError, open_image
from ...errors import UserError
from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadDepth(LoadDepthAnnotation):
    """mmseg's ``LoadDepthAnnotation`` for maps that fit their images.

    Args:
        depth_rescale_factor (float): Metres per unit of the file: 1e-3 for
            millimetres, 1/256 for KITTI. A factor of the data set takes
            precedence.
        **kwargs: See ``mmseg.datasets.LoadDepthAnnotation``.
    """

    def transform(self, results: dict) -> dict:
        """Read the depth map.

        Args:
            results: Results of a pipeline, with ``depth_map_path``, and
                ``ori_shape`` of the image; perhaps ``depth_rescale_factor``.
                Files that end in .npy are read with NumPy.

        Returns:
            The results with ``gt_depth_map``, ``(H, W)`` float32 in metres.

        Raises:
            UserError: If it cannot be read, does not have one channel, has 8
                bits, or is not as large as the image.
        """
        path = results['depth_map_path']
        try:
            data = fileio.get(path, self.backend_args)
            backend = ('numpy' if path.lower().endswith('.npy') else
                       self.decode_backend)
            depth = datafrombytes(data, backend=backend)
            if depth.ndim == 3 and depth.shape[-1] == 1:
                depth = depth[..., 0]
            shape = depth.shape
        except (OSError, EOFError, AttributeError, ValueError,
                cv2.error) as error:
            # OpenCV returns None if it cannot decode.
            raise UserError(f'the depth map {path} cannot be read') from error
        try:
            header = open_image(data, path).size[::-1]
        except ImageError:
            # Only OpenCV or NumPy can read this format.
            header = shape[:2]
        if header != shape[:2]:
            raise UserError(
                f'the depth map {path} cannot be read: OpenCV finds '
                f'{shape[0]}×{shape[1]} pixels in it (height × width) and '
                f'Pillow {header[0]}×{header[1]}, so it is damaged')
        size = results['ori_shape'][:2]
        if len(shape) != 2:
            raise UserError(
                f'the depth map {path} has {shape[-1]} channels. A depth map '
                'has one, of 16 bits or floating point; a coloured picture '
                'of depth cannot be converted back.')
        if depth.dtype == np.uint8:
            raise UserError(
                f'the depth map {path} has 8 bits, which are too few for '
                'depth. Save it with 16 bits or in floating point.')
        if shape != tuple(size):
            raise UserError(
                f'the depth map {path} is {shape[0]}×{shape[1]} pixels '
                f'(height × width) and its image {results.get("img_path")} '
                f'is {size[0]}×{size[1]}. Their pixels must correspond: '
                'register depth to the image, or scale one of them.')
        factor = results.setdefault('depth_rescale_factor',
                                    self.depth_rescale_factor)
        results['gt_depth_map'] = depth.astype(np.float32) * factor
        results['seg_fields'].append('gt_depth_map')
        return results
