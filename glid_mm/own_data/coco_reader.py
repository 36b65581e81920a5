"""A file in COCO's format and the pictures that it names."""
import os.path as osp
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from ..datasets.coco import (require_categories, require_fields,
                             require_unique_ids, why_unusable)
from ..datasets.decode import ImageError
from ..errors import UserError
from .checks import require_most
from .data import Part, Sample
from .outlines import area_of, box_of, outline_of
from .pictures import picture_size, spread, unlike_sizes
from .tree import Tree, split_in
from .words import LeftOut, counted, listed

FIELDS = dict(
    images=('id', 'file_name'),
    annotations=('id', 'image_id', 'category_id'),
    categories=('id', 'name'))
#: Number of pictures to open and check for damage.
LOOKED_AT = 500


class Reader:
    """A file in COCO's format, and the pictures that it names.

    Args:
        tree: The folder.
        name: The file in it.
        split: Its split; None for the only file, unless its name has one.
        task: The task to train.

    Attributes:
        path (Path): Path of the file.
        classes (list[str]): Names of its categories, without pure
            supercategories.
        base (str): The folder in the tree that picture names are relative to.
        used (set[str]): Classes of its objects; filled by :meth:`part`.
        listed (set[str]): Pictures that it names, in the tree.

    Raises:
        UserError: If it is invalid, or all of its pictures are missing.
    """

    fields = FIELDS
    noun = 'box'

    def __init__(self, tree: Tree, name: str, split: str | None,
                 task: str) -> None:
        self.tree, self.task = tree, task
        self.path = tree.path(name)
        self.content = tree.json(name)
        # Whether a run can read the file without changes.
        self.as_is = True
        self.check()
        categories = [c for c in self.content['categories'] if self.takes(c)]
        self.names = {c['id']: c['name'] for c in categories}
        self.classes = list(dict.fromkeys(self.names.values()))
        self.as_is &= len(self.classes) == len(categories)
        self.used: set[str] = set()
        # The name of a file that the user chose may suggest another part.
        split = split_in(osp.basename(name)) or split_in(
            osp.dirname(name)) or split
        self.base, self.pictures = self._locate(name, split)
        self.listed = set(self.pictures.values())

    def check(self) -> None:
        """Refuse an invalid file."""
        file = str(self.path)
        require_fields(file, self.content, self.fields)
        require_unique_ids(file, self.content)
        require_categories(file, self.content)

    def takes(self, category: dict) -> bool:
        """Whether a category is a class.

        Roboflow adds a category that only groups the others.
        """
        others = self.content['categories']
        holds = any(
            c.get('supercategory') == category['name'] and c is not category
            for c in others)
        return not holds or any(a['category_id'] == category['id']
                                for a in self.content['annotations'])

    def part(self, classes: Sequence[str], left_out: LeftOut) -> Part:
        """Make a part of its images with objects of some classes.

        Args:
            classes: Classes to use.
            left_out: Collects unused data.

        Returns:
            The part.

        Raises:
            UserError: If most of the images cannot be used.
        """
        own = LeftOut()
        rows = defaultdict(list)
        for row in self.content['annotations']:
            rows[row['image_id']].append(row)
        missing = [
            image['file_name'] for image in self.content['images']
            if image['id'] not in self.pictures
        ]
        own.add('image', 'whose picture is missing', *missing)
        self.as_is &= not missing
        images = [
            image for image in self.content['images']
            if image['id'] in self.pictures
        ]
        listed_ids = {image['id'] for image in self.content['images']}
        lost = sum(len(rows[id_]) for id_ in rows if id_ not in listed_ids)
        own.add(self.noun, 'of images that the file does not list', count=lost)
        broken = self._look(images, own)
        samples = []
        for image in images:
            if image['id'] not in broken:
                sample = self.sample(image, rows[image['id']], classes, own)
                if sample is not None:
                    samples.append(sample)
        require_most(
            len(samples), len(self.content['images']), own, str(self.path))
        left_out.update(own)
        same = self.as_is and list(classes) == self.classes
        return Part(self.tree.root, samples, self.path if same else None,
                    self.tree.root / self.base)

    def sample(self, image: dict, rows: Iterable[dict], classes: Sequence[str],
               left_out: LeftOut) -> Sample | None:
        """An image with its objects; None if it cannot be used."""
        kept, counts = [], Counter()
        for row in rows:
            name = self.names[row['category_id']]
            self.used.add(name)
            if name not in classes:
                left_out.add(
                    self.noun, 'of classes that were not chosen', count=1)
                self.as_is = False
                continue
            whole = self.complete(row, image, left_out)
            self.as_is &= whole is row
            if whole is None:
                continue
            kept.append((name, whole))
            why = self.why_unused(whole, image)
            if why:
                left_out.add(self.noun, f'because {why}', count=1)
            else:
                counts[name] += 1
        return Sample(self.pictures[image['id']],
                      (image['width'], image['height']), counts, (image, kept))

    def why_unused(self, row: dict, image: dict) -> str | None:
        """Why runs skip an annotation, if they do."""
        return why_unusable(row, image)

    def complete(self, row: dict, image: dict,
                 left_out: LeftOut) -> dict | None:
        """Add missing fields that runs read; None if that is impossible."""
        whole = row
        outline, why = outline_of(row.get('segmentation')), 'without a mask'
        size = [image['height'], image['width']]
        if isinstance(outline, dict) and [*outline['size']] != size:
            outline, why = None, 'whose mask is not as large as the picture'
        if self.task == 'instance':
            if outline is None:
                left_out.add('box', why, count=1)
                return None
            if outline != row['segmentation']:
                whole = dict(whole, segmentation=outline)
        if 'bbox' not in row:
            if outline is None:
                left_out.add('annotation', 'without a box', count=1)
                return None
            whole = dict(whole, bbox=box_of(outline, image))
        if 'area' not in row:
            whole = dict(whole, area=area_of(whole, outline, image))
        if 'iscrowd' not in row:
            whole = dict(whole, iscrowd=0)
        return whole

    def _locate(self, name: str, split: str | None) -> tuple[str, dict]:
        """Find the folder that picture names are relative to, and pictures."""
        by_name = defaultdict(list)
        for path in self.tree.pictures:
            by_name[osp.basename(path)].append(path)
        images = self.content['images']
        names = {
            image['id']:
            posixpath.normpath(image['file_name'].replace('\\', '/'))
            for image in images
        }
        votes: Counter = Counter()
        for file in names.values():
            for path in by_name[osp.basename(file)]:
                if path == file or path.endswith(f'/{file}'):
                    votes[path[:-len(file)].rstrip('/')] += 1
        base = self._best(votes, name, split)
        found = {}
        for image in images:
            file = names[image['id']]
            path = f'{base}/{file}' if base else file
            options = by_name[osp.basename(file)]
            if path in options:
                found[image['id']] = path
                self.as_is &= file == image['file_name']
                continue
            # Names may contain another machine's folders, or none.
            if len(options) > 1:
                options = [
                    option for option in options
                    if '/' in option and f'/{file}'.endswith(f'/{option}')
                ]
            # Pictures of the same name in other parts are different pictures.
            if len(options) == 1 and (split is None or split_in(
                    osp.dirname(options[0])) in (None, split)):
                found[image['id']] = options[0]
                self.as_is = False
        if not found:
            first = next(iter(names.values()), 'none')
            raise UserError(
                f'{self.path} lists {counted(len(names), "image")}, such as '
                f'{first}, but {self.tree.root} has none of them. Put the '
                'pictures into that folder.')
        return base, found

    def _best(self, votes: Counter, name: str, split: str | None) -> str:
        """The folder with the most pictures; in a tie, the split's folder."""
        own = osp.dirname(name)

        most = max(votes.values(), default=0)

        def rank(base):
            # Parts often have pictures with the same names.
            likely, fits = 2 * votes[base] >= most, split_in(base)
            return (likely, fits == split, fits
                    is None, votes[base], base == own)

        ordered = sorted(votes, key=rank, reverse=True)
        if len(ordered) > 1 and rank(ordered[0]) == rank(ordered[1]):
            raise UserError(
                f'the pictures of {self.path} could be in '
                f'{listed(ordered[:2])} of {self.tree.root}. Move the wrong '
                'ones out of the folder.')
        return ordered[0] if ordered else ''

    def _look(self, images: list[dict], left_out: LeftOut) -> set:
        """Check pictures and fill in sizes; returns ids of unusable images."""
        broken = set()
        some = {image['id'] for image in spread(images, LOOKED_AT)}
        for image in images:
            sized = image.get('width', 0) > 0 and image.get('height', 0) > 0
            if sized and image['id'] not in some:
                continue
            name = self.pictures[image['id']]
            try:
                size = picture_size(self.tree.path(name))
            except ImageError as error:
                left_out.add('picture', 'that cannot be read',
                             f'{name}: {error.reason}')
                broken.add(image['id'])
                continue
            if not sized:
                image['width'], image['height'] = size
                self.as_is = False
            elif size != (said := (image['width'], image['height'])):
                left_out.add('picture', 'whose size differs from the labels',
                             unlike_sizes(name, size, said))
                broken.add(image['id'])
        self.as_is &= not broken
        return broken
