"""Sizes of pictures, and checks for truncated files."""
from collections.abc import Sequence
from pathlib import Path

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

from ..datasets.decode import ImageError, decode_image, naming, orientation

# End of a complete file, before anything that a program appended.
_END = {'JPEG': b'\xff\xd9', 'PNG': b'IEND\xaeB`\x82'}
_TAIL = 64
_TURNED = {5, 6, 7, 8}


def picture_size(path: str | Path) -> tuple[int, int]:
    """Width and height of a picture, turned upright.

    The file's header and end are read. A JPEG or PNG with an unusual end is
    decoded, to find truncated files.

    Args:
        path: A file.

    Returns:
        Width and height in pixels.

    Raises:
        ImageError: If it is not a usable picture.
    """
    name = str(path)
    try:
        with open(path, 'rb') as file, naming(name):
            image = Image.open(file)
            size, kind = image.size, image.format
            if isinstance(image, TiffImageFile):
                # Some versions of Pillow have turned image.size already.
                size = (image.tag_v2[ExifTags.Base.ImageWidth],
                        image.tag_v2[ExifTags.Base.ImageLength])
            if orientation(image) in _TURNED:
                size = size[::-1]
            file.seek(0, 2)
            file.seek(max(file.tell() - _TAIL, 0))
            whole = _END.get(kind, b'') in file.read()
        if not whole:
            decode_image(Path(path).read_bytes(), name)
    except OSError as error:
        raise ImageError.of(name, str(error)) from error
    return size


def unlike_sizes(name: str, size: tuple[int, int], said: tuple[int,
                                                               int]) -> str:
    """Describe a picture whose labels are for another size.

    Args:
        name: The picture.
        size: Its width and height.
        said: Width and height according to the labels.

    Returns:
        Both sizes, and the likely reason if sides are swapped.
    """
    text = f'{name}: {size[0]}×{size[1]} instead of {said[0]}×{said[1]}'
    if size == said[::-1]:
        text += ', perhaps rotated by its EXIF orientation: save it upright'
    return text


def spread(items: Sequence, most: int) -> list:
    """Select items evenly from a sequence.

    Args:
        items: All items.
        most: Largest number of selected items.

    Returns:
        The selected items, in order.
    """
    count = min(most, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def sizes_in_words(sizes: Sequence[tuple[int, int]]) -> str:
    """The range of sizes and the median, by area.

    Args:
        sizes: Widths and heights in pixels.

    Returns:
        A sentence without its full stop.
    """
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    first, middle, last = (f'{ordered[i][0]}×{ordered[i][1]}'
                           for i in (0, len(ordered) // 2, -1))
    if first == last:
        return f'All images are {first} pixels (width × height)'
    return (f'Images have {first} to {last} pixels (width × height), '
            f'median {middle}')
