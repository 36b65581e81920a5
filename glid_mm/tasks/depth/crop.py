"""A crop that is the same for every image."""
from mmcv.transforms import BaseTransform

from ...errors import UserError
from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class FixedCrop(BaseTransform):
    """Crop an image and its maps to a box.

    Required key: ``img``; modified keys: ``img``, ``img_shape`` and those
    that ``seg_fields`` names.

    Args:
        box: Left, top, right and bottom edge in pixels.
    """

    def __init__(self, box: tuple[int, int, int, int]) -> None:
        self.box = box

    def transform(self, results: dict) -> dict:
        """Crop.

        Args:
            results: Results of a pipeline.

        Returns:
            The cropped results.

        Raises:
            UserError: If the box is not inside the image.
        """
        left, top, right, bottom = self.box
        height, width = results['img'].shape[:2]
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise UserError(
                f'FixedCrop: the box {self.box} (left, top, right, bottom) is '
                f'not inside an image of {height}×{width} pixels (height × '
                'width). Set a box for this data, or remove the transform.')
        for key in ('img', *results.get('seg_fields', ())):
            results[key] = results[key][top:bottom, left:right]
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(box={self.box})'
