"""Read pictures in the same way for every task."""
from mmcv import transforms
from mmengine import fileio
from PIL import Image

from ..errors import UserError
from ..registry import TRANSFORMS
from .decode import bgr, decode_image


@TRANSFORMS.register_module()
class LoadImageFromFile(transforms.LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``; reads a picture correctly or refuses it.

    In a config it is ``dict(type='LoadImageFromFile', _scope_='glid_mm')``:
    the hosts' inferencers look for that name, and build their own loader of
    files within that scope.

    Args:
        backend_args: See ``mmengine.fileio.get``.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        super().__init__(backend_args=backend_args)

    def transform(self, results: dict) -> dict:
        """Read the picture.

        Args:
            results: Results of a pipeline, with ``img_path``.

        Returns:
            The results with ``img``, ``(H, W, 3)`` uint8 in BGR, ``img_shape``
            and ``ori_shape``.

        Raises:
            UserError: See :func:`load_image`.
        """
        image = load_image(results['img_path'], self.backend_args)
        results['img'] = bgr(image)
        results['img_shape'] = results['ori_shape'] = image.size[::-1]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(backend_args={self.backend_args})'


def load_image(path: str, backend_args: dict | None = None) -> Image.Image:
    """Read a picture; see :func:`glid_mm.datasets.decode.upright_rgb`.

    Args:
        path: A file, or an address that ``mmengine.fileio`` supports.
        backend_args: See ``mmengine.fileio.get``.

    Returns:
        The picture in RGB, turned upright.

    Raises:
        ImageError: If the picture cannot be used.
        UserError: If the file cannot be read at all.
    """
    return decode_image(read_file(path, backend_args), path)


def read_file(path: str, backend_args: dict | None = None) -> bytes:
    """Read the file of a picture.

    Args:
        path: A file, or an address that ``mmengine.fileio`` supports.
        backend_args: See ``mmengine.fileio.get``.

    Returns:
        Its content.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        return fileio.get(path, backend_args)
    except OSError as error:
        raise UserError(f'cannot read the image {path}: {error}') from error
