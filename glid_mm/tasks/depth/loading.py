"""Reading depth maps, with errors that name them."""
from mmseg.datasets.transforms import LoadDepthAnnotation

from ...errors import UserError
from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadDepth(LoadDepthAnnotation):
    """mmseg's ``LoadDepthAnnotation`` for maps that fit their images.

    Args:
        depth_rescale_factor (float): Metres per unit of the file: 1e-3 for
            millimetres, 1/256 for KITTI.
        **kwargs: See ``mmseg.datasets.LoadDepthAnnotation``.
    """

    def transform(self, results: dict) -> dict:
        """Read the depth map.

        Args:
            results (dict): Of a pipeline, with ``depth_map_path``, and
                ``ori_shape`` of the image.

        Returns:
            dict: The same with ``gt_depth_map``, ``(H, W)`` float32 in
            metres.

        Raises:
            UserError: If it cannot be read, is no map of one channel, or is
                not as large as the image.
        """
        path = results['depth_map_path']
        try:
            results = super().transform(results)
        except (OSError, AttributeError) as error:
            # An AttributeError is how mmseg meets what OpenCV cannot decode.
            raise UserError(f'the depth map {path} cannot be read') from error
        shape, size = results['gt_depth_map'].shape, results['ori_shape'][:2]
        if len(shape) != 2:
            raise UserError(
                f'the depth map {path} has {shape[-1]} channels. Depth has '
                'one, of 16 bits or floating; a coloured picture of depth '
                'cannot be read back.')
        if shape != tuple(size):
            raise UserError(
                f'the depth map {path} is {shape[0]}×{shape[1]} pixels '
                f'(height × width) and its image {results.get("img_path")} '
                f'is {size[0]}×{size[1]}. They have to show the same, pixel '
                'by pixel: register depth to the image, or scale one of them.')
        return results
