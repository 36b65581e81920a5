"""Label maps: pictures whose pixels are class numbers."""
import numpy as np
from mmengine import fileio

from ..errors import UserError
from .decode import ImageError, naming, open_image

# PNG's grey levels of 2 and 4 bits, which Pillow spreads over 0 to 255.
_SPREAD = {'L;2': 85, 'L;4': 17}


class ColouredMapError(UserError):
    """A label map has several channels, so it has colours, not numbers."""


def read_label_map(path: str, backend_args: dict | None = None) -> np.ndarray:
    """Read the numbers of a file without changes.

    Args:
        path: Path of a one-channel picture; a palette is ignored, and the
            numbers are read.
        backend_args: See ``mmengine.fileio.get``.

    Returns:
        ``(H, W)`` uint8, uint16 or int32, as in the file.

    Raises:
        ColouredMapError: If it has more than one channel.
        UserError: If it cannot be read, is a JPEG, or has values that are not
            whole numbers.
    """
    try:
        image = open_image(fileio.get(path, backend_args), path)
        spread = _SPREAD.get(image.tile and image.tile[0][3], 1)
        with naming(path):
            image.load()
    except (ImageError, OSError) as error:
        reason = getattr(error, 'reason', error)
        raise UserError(
            f'the label map {path} cannot be read: {reason}') from error
    channels = len(image.getbands())
    if channels > 1:
        bands = [np.asarray(band) for band in image.split()]
        same = all(np.array_equal(bands[0], b) for b in bands[1:3])
        raise ColouredMapError(
            f'the label map {path} has {channels} channels. It must '
            'have one, with the class number of each pixel. ' +
            ('The channels are equal: keep the first.' if same else
             'If colours stand for classes, replace each colour by its '
             'class number.'))
    if image.format in ('JPEG', 'MPO'):
        raise UserError(
            f'the label map {path} is a JPEG, whose compression changes '
            'labels. Export the labels again as a PNG.')
    labels = np.array(image)
    if labels.dtype == bool:
        labels = labels.astype(np.uint8)
    if labels.dtype.kind == 'f':
        whole = labels.astype(np.int32)
        if not np.array_equal(whole, labels):
            raise UserError(
                f'the label map {path} has values that are not whole '
                'numbers. Write the class number of each pixel.')
        labels = whole
    return labels // spread if spread > 1 else labels
