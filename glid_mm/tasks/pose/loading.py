"""Read pictures of people."""
from mmpose.datasets import transforms

from ...datasets.decode import bgr
from ...datasets.loading import load_image
from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(transforms.LoadImage):
    """mmpose's ``LoadImage``; reads a picture correctly or refuses it.

    Args:
        backend_args: See ``mmengine.fileio.get``.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        super().__init__(backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Read the picture, unless ``img`` already exists.

        Args:
            results: Results of a pipeline, with ``img_path``, or with ``img``,
                ``(H, W, 3)`` uint8 in BGR.

        Returns:
            The results with ``img``, ``img_shape`` and ``ori_shape``.

        Raises:
            UserError: See :func:`glid_mm.datasets.loading.load_image`.
        """
        if 'img' not in results:
            results['img'] = bgr(
                load_image(results['img_path'], self.backend_args))
        return super().transform(results)
