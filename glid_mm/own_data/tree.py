"""The files of a folder, and the meaning of folder names."""
import json
import os
import os.path as osp
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from ..datasets.folders import SUFFIXES, walk
from ..errors import UserError
from .words import LeftOut, counted, listed

#: The parts of a data set, with names of their folders and files.
SPLITS = {
    name: split
    for split, names in dict(
        train='train training trainset',
        val='val valid validation valset dev',
        test='test testing testset').items()
    for name in names.split()
}
#: Roles of folders, with their names.
ROLES = {
    name: role
    for role, names in dict(
        images='images image img imgs jpegimages rgb color colour photos '
        'pictures frames leftimg8bit',
        labels='labels label masks mask annotations annotation ann anns '
        'semantic segmentation segmentations segmentationclass gt gtfine '
        'ground_truth groundtruth labelmaps label_maps seg xml xmls',
        objects='segmentationobject instances instance',
        depth='depth depths depth_mm depthmap depthmaps depth_map depth_maps',
        panoptic='panoptic').items()
    for name in names.split()
}
# Words beside a split that say no more: test_set, training_data.
_PARTS = ('set', 'data', 'dataset', 'split')
# Python's characters for bytes of a name that are not UTF-8.
_NOT_UTF8 = re.compile('[\udc80-\udcff]')


class Place(NamedTuple):
    """Information from the path of a file.

    Attributes:
        split: ``'train'``, ``'val'`` or ``'test'``.
        role: One of :data:`ROLES`, of the innermost folder that has one.
        inside: The other folders, joined by ``/``.
        stem: The file's name without its suffix.
    """

    split: str | None
    role: str | None
    inside: str
    stem: str


def split_in(name: str) -> str | None:
    """The split that a name has among its words: ``instances_train2017``."""
    words = re.split(r'[^a-z]+', name.lower())
    return next((SPLITS[word] for word in words if word in SPLITS), None)


def place_of(path: str) -> Place:
    """Read split and role from a path.

    Args:
        path: Path in the folder, with ``/``.

    Returns:
        The split, the role and the rest of the path.
    """
    *folders, name = path.split('/')
    split = role = None
    inside = []
    for folder in folders:
        words = re.sub(r'\d+$', '', folder.lower()).split()
        words = re.split(r'[_\-. ]+', '_'.join(words))
        rest = '_'.join(word for word in words if word not in SPLITS)
        if rest in _PARTS and len(words) > 1:
            rest = ''
        if rest and rest not in ROLES:
            inside.append(folder)
            continue
        role = ROLES.get(rest, role)
        split = split_in(folder) or split
    return Place(split, role, '/'.join(inside), osp.splitext(name)[0])


def _refuse_constant(name: str) -> None:
    """Refuse NaN and infinity, which Python's reader would accept."""
    raise ValueError(f'JSON does not allow {name}. Write null instead')


class Tree:
    """The files of a folder, listed once.

    Args:
        folder: The folder; its subfolders are searched too.
        main: A file in it that the user named. Other files that describe a
            data set are ignored.

    Attributes:
        root (Path): The folder, absolute.
        files (list[str]): Paths in it with ``/``, sorted; neither hidden nor
            empty.
        pictures (list[str]): The pictures among them.
        photos (list[str]): Pictures that are not labels: those in folders for
            images if there are any, else those in folders without a role.
        left_out (LeftOut): Empty pictures.

    Raises:
        UserError: If it is not a folder, cannot be read, has no files, or the
            name of one is not UTF-8.
    """

    def __init__(self, folder: str | Path, main: Path | None = None) -> None:
        self.root = Path(osp.abspath(folder))
        self.main = main and osp.relpath(main, self.root).replace(os.sep, '/')
        self.left_out = LeftOut()
        self._json: dict = {}
        files = []
        try:
            for name, size in walk(str(self.root)):
                if name.startswith('.') or '/.' in name:
                    continue
                if _NOT_UTF8.search(path := f'{self.root}/{name}'):
                    raise UserError(
                        f'the name {os.fsencode(path)!r} is not UTF-8. '
                        'Rename it; the program convmv can rename all files '
                        'of a folder.')
                if size:
                    files.append(name)
                elif name.lower().endswith(SUFFIXES):
                    self.left_out.add('picture', 'without content', name)
                elif name.endswith('.txt'):
                    # In YOLO's format, an empty file is a picture without
                    # objects.
                    files.append(name)
        except OSError as error:
            raise UserError(
                f'the data folder {self.root} cannot be read: '
                f'{error.strerror or error}. Check the path.') from error
        if not files:
            raise UserError(
                f'the data folder {self.root} has no files, or only empty '
                'ones. Check the path; docs/own-data.md shows the layouts.')
        self.files = sorted(files)
        self.pictures = self.ending(*SUFFIXES)
        roles = {name: place_of(name).role for name in self.pictures}
        wanted = next((r for r in ('images', None) if r in roles.values()),
                      'labels')
        self.photos = [n for n, role in roles.items() if role == wanted]

    @classmethod
    def of(cls, path: str | Path) -> 'Tree':
        """The tree of a folder, or of the data set that a file describes.

        Args:
            path: A folder, or a file in the folder of a data set or in one
                below.

        Returns:
            The tree.

        Raises:
            UserError: If the path does not exist; see :class:`Tree`.
        """
        path = Path(path).expanduser()
        if path.is_dir():
            return cls(path)
        if not path.is_file():
            raise UserError(f'there is no data folder {path}. Check the path.')
        folder = Path(osp.abspath(path)).parent
        # Annotation files are usually in a folder beside the pictures'
        # folders.
        alone = ROLES.get(folder.name.lower()) == 'labels' and not any(
            entry.suffix.lower() in SUFFIXES for entry in folder.iterdir())
        return cls(folder.parent if alone else folder, path)

    def ending(self, *suffixes: str) -> list[str]:
        """Files with one of the given suffixes, ignoring case."""
        return [n for n in self.files if n.lower().endswith(suffixes)]

    def named(self, *names: str) -> list[str]:
        """Files with one of the given names, ignoring case, in any folder."""
        return [n for n in self.files if osp.basename(n).lower() in names]

    def path(self, name: str) -> Path:
        """The absolute path of a file."""
        return self.root / name

    def json(self, name: str):
        """The content of a JSON file, which is read once.

        Raises:
            UserError: If it cannot be read.
        """
        if name not in self._json:
            try:
                with open(self.path(name), 'rb') as file:
                    self._json[name] = json.load(
                        file, parse_constant=_refuse_constant)
            except (OSError, ValueError, RecursionError) as error:
                raise UserError(f'{self.path(name)} cannot be read as JSON: '
                                f'{error}') from error
        return self._json[name]

    def lines(self, name: str) -> list[str]:
        """The lines of a text file.

        Raises:
            UserError: If it is not text.
        """
        try:
            return self.path(name).read_text(encoding='utf-8-sig').splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f'{self.path(name)} cannot be read as text: {error}. Save it '
                'as UTF-8.') from error

    def summary(self) -> str:
        """The content of the folder, in a few words."""
        kinds = Counter(
            osp.splitext(name)[1].lower() or 'without suffix'
            for name in self.files)
        folders = sorted({n.split('/')[0] for n in self.files if '/' in n})
        kinds = [f'{count:,} {kind}' for kind, count in kinds.most_common()]
        return (f'{counted(len(self.files), "file")} ({listed(kinds)})' +
                (f' in the folders {listed(folders, 8)}' if folders else ''))
