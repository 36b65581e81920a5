"""List the images of a folder by one rule for all tasks.

An image has one of :data:`SUFFIXES`, ignoring case, and is in the folder or
any subfolder. Hidden files and folders, whose names start with a dot, hold
copies and thumbnails of other programs and are skipped, as are empty files.
The log reports how many files are skipped, and why.
"""
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence

from mmengine.fileio import LocalBackend, get_file_backend
from mmengine.logging import print_log

from ..errors import UserError

SUFFIXES = ('.jpg', '.jpeg', '.jfif', '.png', '.ppm', '.bmp', '.pgm', '.tif',
            '.tiff', '.webp', '.gif')


def list_images(folder: str,
                suffixes: Sequence[str] = SUFFIXES,
                backend_args: dict | None = None) -> list[str]:
    """Find the images of a folder; log skipped files.

    Args:
        folder: The folder.
        suffixes: Suffixes of images, in lower case.
        backend_args: See ``mmengine.fileio.get``.

    Returns:
        Their paths in the folder, with ``/``, sorted.

    Raises:
        UserError: If the folder or a subfolder cannot be read.
    """
    folder = str(folder)
    backend = get_file_backend(folder, backend_args=backend_args)
    if isinstance(backend, LocalBackend):
        files = walk(folder or '.')
    else:
        files = ((name, 1) for name in backend.list_dir_or_file(
            folder, list_dir=False, recursive=True))
    images, kinds, hidden, empty = [], Counter(), 0, []
    try:
        for name, size in files:
            if name.startswith('.') or '/.' in name:
                hidden += 1
            elif not name.lower().endswith(tuple(suffixes)):
                kinds[os.path.splitext(name)[1] or 'no suffix'] += 1
            elif not size:
                empty.append(name)
            else:
                images.append(name)
    except OSError as error:
        raise UserError(
            f'cannot list the images in {folder}: {error}. If a data set '
            'names it, check data_root and data_prefix.') from error
    reasons = []
    if kinds:
        shown = ', '.join(f'{n} {kind}' for kind, n in kinds.most_common(5))
        more = ', …' if len(kinds) > 5 else ''
        reasons.append(f'{sum(kinds.values())} of other kinds ({shown}{more})')
    if hidden:
        reasons.append(f'{hidden} hidden')
    if empty:
        reasons.append(f'{len(empty)} empty ({min(empty)}'
                       f'{", …" if len(empty) > 1 else ""})')
    left_out = f'; left out: {", ".join(reasons)}' if reasons else ''
    print_log(f'{len(images)} images in {folder or "."}{left_out}', 'current',
              logging.WARNING if empty else logging.INFO)
    return sorted(images)


def read_names(path: str) -> list[str]:
    """The lines of a list of names, without empty lines.

    Args:
        path: Path of a text file.

    Returns:
        The names, in the order of the file.

    Raises:
        UserError: If it cannot be read, is empty, or has a name twice.
    """
    try:
        with open(path, encoding='utf-8') as file:
            names = [line.strip() for line in file if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'the list {path} cannot be read: {error}') from error
    if not names:
        raise UserError(f'the list {path} is empty')
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise UserError(f'the list {path} has {name} {times} times')
    return names


def chosen_images(images: Sequence[str], path: str) -> list[str]:
    """Select the images that a list names, with or without suffixes.

    Args:
        images: Names of all images, from :func:`list_images`.
        path: Path of the list.

    Returns:
        Names of the selected images, in the order of ``images``.

    Raises:
        UserError: See :func:`read_names`; or if a line matches no image, or
            several.
    """
    wanted = Counter(read_names(path))
    found = [
        name for name in images
        if name in wanted or os.path.splitext(name)[0] in wanted
    ]
    there = Counter(
        name if name in wanted else os.path.splitext(name)[0]
        for name in found)
    missing = [name for name in wanted if not there[name]]
    if missing:
        raise UserError(
            f'the list {path} names {len(wanted)} images, but {len(missing)} '
            f'are missing, the first being {missing[0]}. Check data_root and '
            'data_prefix of the data set')
    name, times = there.most_common(1)[0]
    if times > 1:
        raise UserError(f'the list {path} has {name}, which matches {times} '
                        'images: write their suffixes')
    return found


def walk(folder: str,
         prefix: str = '',
         above: tuple = ()) -> Iterator[tuple[str, int]]:
    """Path and size of every file; folders below hidden ones count as one.

    Args:
        folder: The folder.
        prefix: Its path relative to the start of the search.
        above (tuple[tuple]): Its parent folders, to stop at links that lead
            back to one of them.

    Yields:
        Path with ``/``, unsorted, and size in bytes; 1 for hidden files.

    Raises:
        OSError: If the folder or one below cannot be read.
    """
    info = os.stat(folder)
    here = info.st_dev, info.st_ino
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            if entry.name.startswith('.'):
                yield name, 1
            elif entry.is_dir():
                yield from walk(entry.path, f'{name}/', (*above, here))
            elif entry.is_file():
                yield name, entry.stat().st_size
