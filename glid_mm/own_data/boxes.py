"""Convert boxes read by globox to COCO's format."""
from collections import Counter
from pathlib import Path

from ..datasets.coco import why_unusable
from ..datasets.decode import ImageError
from .data import Part, Sample
from .pictures import picture_size
from .tree import Tree
from .words import LeftOut


class BoxCollector:
    """Collect images and their boxes.

    Args:
        tree: The folder.
        left_out: Collects unused data.

    Attributes:
        parts (dict[str, Part]): The collected parts, by split.
    """

    def __init__(self, tree: Tree, left_out: LeftOut) -> None:
        self.tree, self.left_out = tree, left_out
        self.parts: dict[str, Part] = {}
        self._images = self._boxes = 0

    def size(self, picture: str) -> tuple[int, int] | None:
        """Width and height of a picture; None if it cannot be read."""
        try:
            return picture_size(self.tree.path(picture))
        except ImageError as error:
            self.left_out.add('picture', 'that cannot be read',
                              f'{picture}: {error.reason}')
        return None

    def add(self, split: str, picture: str, size: tuple[int, int],
            objects: list[tuple[str, dict]]) -> None:
        """Add an image.

        Args:
            split: Its split.
            picture: Its path in the folder.
            size: Width and height in pixels.
            objects: Class and annotation of each: ``bbox`` (x, y, width and
                height in pixels) at least.
        """
        self._images += 1
        image = dict(
            id=self._images, file_name=picture, width=size[0], height=size[1])
        kept, counts = [], Counter()
        for name, row in objects:
            self._boxes += 1
            row = dict(
                dict(iscrowd=0, area=row['bbox'][2] * row['bbox'][3]),
                **row,
                id=self._boxes,
                image_id=self._images)
            why = why_unusable(row, image)
            if why and not row['iscrowd']:
                self.left_out.add('box', f'because {why}', picture)
                continue
            kept.append((name, row))
            if not why:
                counts[name] += 1
        part = self.parts.setdefault(split, Part(Path(self.tree.root), []))
        part.samples.append(Sample(picture, size, counts, (image, kept)))
