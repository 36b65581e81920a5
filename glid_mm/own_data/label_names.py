"""Class names for the numbers or colours of label maps."""
import os.path as osp
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..datasets.decode import ImageError, decode_image
from ..datasets.label_maps import ColouredMapError
from ..errors import UserError
from .tree import Tree
from .words import listed

#: The label of unlabelled pixels.
UNLABELLED = 255
_TEXTS = ('classes.txt', 'class_names.txt', 'names.txt', 'labels.txt')
_JSONS = ('classes.json', 'class_names.json', 'labels.json', 'id2label.json',
          'label_map.json', 'labelmap.json')
_COLOURS = 'labelmap.txt'
_TABLE = '_classes.csv'
_LINE = re.compile(r'([^#:][^:]*):\s*(?:(\d+)\s*,\s*(\d+)\s*,\s*(\d+))?\s*'
                   r'(?::.*)?')

Reader = Callable[[str], np.ndarray]


@dataclass
class LabelNames:
    """Names of classes from a file.

    Attributes:
        file: Path of the file in the folder.
        names: Names of the classes, in the order of their numbers.
        colours: RGB of each; empty if the file has only names.
    """

    file: str
    names: list[str]
    colours: list[tuple[int, int, int]]


def find_names(tree: Tree) -> LabelNames | None:
    """Find the class names of a folder.

    Args:
        tree: The folder.

    Returns:
        Names from ``labelmap.txt``, ``classes.txt``, a JSON of a list or of
        names and numbers, or Roboflow's ``_classes.csv``.

    Raises:
        UserError: If such a file is invalid, or there are several.
    """
    files = (
        tree.named(_COLOURS) or tree.named(*_TEXTS) or tree.named(*_JSONS)
        or tree.named(_TABLE))
    if not files:
        return None
    if osp.basename(files[0]).lower() == _TABLE:
        # Each part may have such a file beside its pictures.
        tables = [_from_table(tree, file) for file in files]
        if all(names == tables[0] for names in tables):
            return LabelNames(files[0], tables[0], [])
    if len(files) > 1:
        raise UserError(f'{tree.root} has several files with class names: '
                        f'{listed(files)}. Keep one of them.')
    file = files[0]
    if file.lower().endswith('.json'):
        return LabelNames(file, _from_json(tree, file), [])
    lines = [line.strip() for line in tree.lines(file) if line.strip()]
    if osp.basename(file).lower() != _COLOURS:
        return LabelNames(file, lines, [])
    names, colours = [], []
    for line in lines:
        if line.startswith('#'):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise UserError(f'{tree.path(file)}: {line!r} is not of the form '
                            'name:r,g,b:: (red, green and blue, 0 to 255).')
        names.append(match[1].strip())
        if match[2]:
            colours.append(tuple(int(match[i]) for i in (2, 3, 4)))
    if colours and len(set(colours)) < len(names):
        raise UserError(f'{tree.path(file)}: each class needs its own colour, '
                        'name:r,g,b::')
    return LabelNames(file, names, colours)


def _from_json(tree: Tree, file: str) -> list[str]:
    content = tree.json(file)
    if isinstance(content, dict) and isinstance(
            content.get('classes'), (list, dict)):
        content = content['classes']
    if isinstance(content, list):
        return [
            str(entry.get('name') if isinstance(entry, dict) else entry)
            for entry in content
        ]
    try:
        # A map of names to numbers, or of numbers to names.
        numbers = {
            int(key if str(key).isdigit() else value):
            str(value if str(key).isdigit() else key)
            for key, value in content.items()
        }
    except (AttributeError, ValueError, TypeError, OverflowError):
        numbers = {}
    try:
        return _in_order(numbers)
    except ValueError:
        raise UserError(
            f'{tree.path(file)} is neither a list of names nor an object of '
            'names and their numbers 0, 1, 2, ….') from None


def _in_order(numbers: dict[int, str]) -> list[str]:
    """Names by number; ValueError if these are not 0, 1, 2, …."""
    numbers.pop(UNLABELLED, None)
    if sorted(numbers) != list(range(len(numbers))) or not numbers:
        raise ValueError(numbers)
    return [numbers[i] for i in range(len(numbers))]


def _from_table(tree: Tree, file: str) -> list[str]:
    """Names in Roboflow's table: a number and a name per line."""
    rows = [line.split(',', 1) for line in tree.lines(file) if ',' in line]
    try:
        return _in_order({
            int(number): name.strip()
            for number, name in rows[1:]
        })
    except (ValueError, IndexError):
        raise UserError(
            f'{tree.path(file)} must have a number (0, 1, 2, …) and a name '
            'on each line below its header.') from None


class ColourReader:
    """Reads label maps whose colours stand for classes.

    Args:
        names: Class names with colours.
        path: Path of the file that defines them.
    """

    def __init__(self, names: LabelNames, path: str) -> None:
        self.path = path
        codes = [_code(np.array(colour)) for colour in names.colours]
        order = np.argsort(codes)
        self._codes, self._labels = np.array(codes)[order], order

    def __call__(self, path: str) -> np.ndarray:
        """Read a label map.

        Args:
            path: Path of a picture.

        Returns:
            ``(H, W)`` uint8 or uint16, numbers of classes.

        Raises:
            ColouredMapError: If it has a colour without a class.
            UserError: If it cannot be read.
        """
        try:
            with open(path, 'rb') as file:
                image = decode_image(file.read(), path)
        except (ImageError, OSError) as error:
            reason = getattr(error, 'reason', error)
            raise UserError(
                f'the label map {path} cannot be read: {reason}') from error
        pixels = np.asarray(image)
        codes = _code(pixels)
        places = np.searchsorted(self._codes, codes)
        places = np.minimum(places, len(self._codes) - 1)
        strange = self._codes[places] != codes
        if strange.any():
            colour = ','.join(map(str, pixels[strange][0]))
            raise ColouredMapError(
                f'the label map {path} has {strange.sum()} pixels of colours '
                f'such as {colour} that {self.path} does not name. Add a line '
                f'name:{colour}::, or save the map without smoothing.')
        kind = np.uint8 if len(self._codes) < UNLABELLED else np.uint16
        return self._labels[places].astype(kind)


def _code(pixels: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
    return red << 16 | green << 8 | blue


def binary(read: Reader) -> Reader:
    """Reads label maps of 0 and 255 as 0 and 1."""

    def read_binary(path: str) -> np.ndarray:
        return (read(path) > 0).astype(np.uint8)

    return read_binary


def is_palette(path) -> bool:
    """Whether a picture has a palette."""
    with Image.open(path) as image:
        return image.mode == 'P'
