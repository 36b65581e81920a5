"""Transforms that no host library has."""
from mmcv.transforms import LoadImageFromFile as _LoadImageFromFile

from ..registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImageFromFile(_LoadImageFromFile):
    """Load an image, whole or not at all.

    OpenCV fills what is missing of a truncated JPEG with grey and goes on;
    Pillow refuses it. Grayscale images become three equal channels.

    Raises:
        OSError: If the file cannot be read as an image; names it.
    """

    def __init__(self, imdecode_backend: str = 'pillow', **kwargs) -> None:
        super().__init__(imdecode_backend=imdecode_backend, **kwargs)

    def transform(self, results: dict) -> dict:
        """Add ``img`` (``(H, W, 3)`` uint8, BGR) and its shapes."""
        try:
            return super().transform(results)
        except Exception as error:
            raise OSError(
                f'cannot read the image {results["img_path"]!r} ({error}). '
                'Replace the file, or take it out of the data set.') from error
