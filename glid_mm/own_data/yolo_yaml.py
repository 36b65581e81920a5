"""Read ``data.yaml`` and similar files of a YOLO data set."""
import os.path as osp
from collections import defaultdict
from pathlib import Path

import yaml

from ..errors import UserError
from .tree import SPLITS, Tree
from .words import listed

_NAMES = ('classes.txt', 'obj.names', 'names.txt', 'predefined_classes.txt')


def find_yaml(tree: Tree) -> str | None:
    """The file that describes a data set.

    Raises:
        UserError: If there are several.
    """
    if tree.main is not None:
        return tree.main
    files = tree.named('data.yaml', 'data.yml') or [
        name for name in tree.ending('.yaml', '.yml')
        if 'names' in read_yaml(tree, name)
    ]
    if len(files) > 1:
        raise UserError(
            f'{tree.root} has {len(files)} files that could describe its '
            f'data: {listed(files)}. Give the path of the right one instead '
            f'of the folder: {tree.path(files[0])}')
    return files[0] if files else None


def read_yaml(tree: Tree, name: str) -> dict:
    """The content of a YAML file; {} if it is not an object.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        content = yaml.safe_load('\n'.join(tree.lines(name)))
    except yaml.YAMLError as error:
        raise UserError(f'{tree.path(name)} cannot be read as YAML: '
                        f'{error}') from error
    return content if isinstance(content, dict) else {}


def names_of(tree: Tree, file: str | None, settings: dict,
             texts: dict) -> tuple[list[str], str | None]:
    """Names of the classes, and the file that defines them.

    Args:
        tree: The folder.
        file: The YAML.
        settings: Its content.
        texts: Lines by picture, whose first value is the class.

    Returns:
        The names, or numbers if no file has names; and the file.

    Raises:
        UserError: If names and numbers do not match, or files differ.
    """
    names = settings.get('names')
    if isinstance(names, dict):
        try:
            numbers = {int(number): str(n) for number, n in names.items()}
        except ValueError:
            numbers = {}
        if sorted(numbers) != list(range(len(names))):
            raise UserError(f'{tree.path(file)}: "names" has the numbers '
                            f'{listed(names, 10)}. They must be 0, 1, 2, …')
        return [numbers[i] for i in range(len(numbers))], str(tree.path(file))
    if isinstance(names, list) and names:
        return list(map(str, names)), str(tree.path(file))
    files = tree.named(*_NAMES)
    found = {
        tuple(line.strip() for line in tree.lines(name) if line.strip())
        for name in files
    }
    if len(found) > 1:
        raise UserError(f'{listed(files)} of {tree.root} have different class '
                        'names. Keep one of them.')
    if found:
        return list(found.pop()), str(tree.path(files[0]))
    most = max((values[0] for lines in texts.values() for _, values in lines),
               default=-1)
    return [f'class_{i}' for i in range(most + 1)], None


def splits_of(tree: Tree, file: str | None, settings: dict) -> list | None:
    """``(split, folder or set of pictures)`` from the YAML.

    Returns:
        The splits; None if the tree has none.
    """
    found = []
    for key, entries in settings.items():
        if key not in SPLITS or not entries:
            continue
        for entry in entries if isinstance(entries, list) else [entries]:
            path = _resolve(tree, file, settings, str(entry))
            if path is None:
                continue
            if path.is_dir():
                inside = path.relative_to(tree.root).as_posix()
                found.append(
                    (SPLITS[key], '' if inside == '.' else f'{inside}/'))
            else:
                found.append((SPLITS[key], _listed(tree, path)))
    return found or None


def _resolve(tree: Tree, file: str, settings: dict, entry: str) -> Path | None:
    """The YAML's folder of pictures; None if it is outside the tree.

    Programs differ in the base folder of the paths.
    """
    here = tree.path(file).parent
    entry = entry.rstrip('/')
    options = [
        folder / name for name in (entry, entry.lstrip('./'))
        for folder in (here / str(settings.get('path') or ''), here, tree.root)
    ]
    for path in options:
        path = Path(osp.normpath(path))
        if path.is_relative_to(tree.root) and path.exists():
            return path
    return None


def _listed(tree: Tree, path: Path) -> set[str]:
    """The pictures in a list; programs differ in the base of its paths."""
    by_name = defaultdict(list)
    for picture in tree.pictures:
        by_name[osp.basename(picture)].append(picture)
    found = set()
    for line in tree.lines(path.relative_to(tree.root).as_posix()):
        line = osp.normpath(line.strip().replace('\\', '/'))
        options = by_name[osp.basename(line)]
        found.update(
            option for option in options
            if len(options) == 1 or f'/{line}'.endswith(f'/{option}')
            or f'/{option}'.endswith(f'/{line}'))
    return found
