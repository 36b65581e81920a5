"""Config overrides from the command line, checked against the config."""
import ast
import copy
import os.path as osp
from argparse import ArgumentError
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from mmengine.config import Config, DictAction

from ..errors import UserError
from .accepted import accepted_names, group_at
from .defaults import HOSTS

_WORDS = {'true': True, 'false': False, 'none': None}
#: Keys of mmengine's configs, in any group.
_MARKS = ('_delete_', '_scope_', 'type')


class Options(DictAction):
    """``KEY=VALUE`` pairs, with strings kept as typed.

    mmengine's action removes spaces from every value, splits it at commas and
    does not read ``dict(...)``. Here a path may contain spaces and commas, and
    ``dict(...)``, ``{...}``, lists and quoted strings are read as Python
    reads them, without running anything.
    """

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Add the pairs to earlier ones."""
        for pair in values:
            key, equals, _ = pair.partition('=')
            if not equals or not all(key.split('.')):
                raise ArgumentError(
                    self, f'{pair!r} is not KEY=VALUE. Put quotes around a '
                    'value that contains spaces.')
        try:
            super().__call__(parser, namespace, values, option_string)
        except (UserError, AssertionError) as error:
            raise ArgumentError(self, str(error)) from error
        except RecursionError as error:
            # mmengine's parser searches the end of a list repeatedly.
            raise ArgumentError(
                self, f'{" ".join(values)} cannot be read as a list. Put '
                'strings that contain brackets in quotes.') from error

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        return read_value(val)


def read_value(val: str) -> Any:
    """The value of a literal, or else the string itself.

    Raises:
        UserError: If the content of a ``dict`` cannot be read.
    """
    plain = DictAction._parse_int_float_bool(val)
    if not isinstance(plain, str):
        return plain
    quoted = val[:1] in ('"', "'") and val[-1:] == val[:1]
    listed = val[:1] in ('(', '[') and val[-1:] in (')', ']')
    grouped = 'dict(' in val or '{' in val
    if quoted or listed or val.startswith(('dict(', '{')):
        try:
            found = _value(ast.parse(val, mode='eval').body)
        except (SyntaxError, ValueError) as error:
            if grouped and not quoted:
                raise UserError(
                    f'{val} cannot be read ({error}). Write groups as '
                    "dict(name=value), with strings in quotes: 'x.pth'"
                ) from error
        else:
            # mmengine reads (1) as a tuple and 'a','b' as a list.
            kinds = str if quoted else (dict, list, tuple)
            if isinstance(found, kinds):
                return found
    path = osp.expanduser(val)
    text = ' ' in val and (',' not in val or '/' in val)
    if not listed and (text or path != val or osp.exists(val)):
        return path
    return DictAction._parse_iterable(val)


def _value(node: ast.expr) -> Any:
    """The plain value of an expression.

    Raises:
        ValueError: If it has none.
    """
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {
            _value(key): _value(value)
            for key, value in zip(node.keys, node.values)
        }
    if isinstance(node, ast.Call) and not node.args and isinstance(
            node.func, ast.Name) and node.func.id == 'dict':
        if all(item.arg for item in node.keywords):
            return {item.arg: _value(item.value) for item in node.keywords}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op,
                                                    (ast.USub, ast.UAdd)):
        number = _value(node.operand)
        if isinstance(number, (int, float)):
            return -number if isinstance(node.op, ast.USub) else number
    word = ast.unparse(node)
    if all(part.isidentifier() for part in word.split('.')):
        # A bare word is a string, as it is outside brackets:
        # glid_mm.Pretrained.
        return _WORDS.get(word.lower(), word)
    raise ValueError(f'{word!r} is not a plain value')


def apply_overrides(config: Config, overrides: Mapping[str, Any]) -> None:
    """Put settings into a config; an unused setting is an error.

    A setting is read if the config already has it, or if a class named in the
    config accepts it. Only the config file reads its own variables, so an
    override of them would come too late.

    Args:
        config: The config; changed in place.
        overrides: Values by dotted names, such as
            ``train_dataloader.batch_size``.

    Raises:
        UserError: If a setting is unused; suggests the closest existing one.
    """
    before = copy.deepcopy(config)
    for name, value in overrides.items():
        _make_room(config, name, value)
    config.merge_from_dict(dict(overrides))
    for name, value in overrides.items():
        for path in _paths(tuple(name.split('.')), value):
            for depth in range(1, len(path) + 1):
                _refuse_unread(before, config, path[:depth], path[depth:])


def _make_room(config: Config, name: str, value: Any) -> None:
    """Create missing groups; raise if something else is in their place."""
    node, parts = config._cfg_dict, name.split('.')
    for depth, part in enumerate(parts):
        at = '.'.join(parts[:depth])
        if isinstance(node, (list, tuple)):
            if not part.isdigit() or int(part) >= len(node):
                raise UserError(
                    f'{name}: {at} is a list of {len(node)}. Write {at}.0 for '
                    'the first, and so on.')
            node = node[int(part)]
        elif isinstance(node, Mapping):
            if node.get(part, 0) is None and (depth + 1 < len(parts)
                                              or isinstance(value, Mapping)):
                # mmengine cannot merge a group into None.
                node[part] = {}
            if part not in node:
                return
            node = node[part]
        else:
            raise UserError(f'{name}: {at} is {node!r}, not a group of '
                            'settings.')
    if isinstance(node, Mapping) and node and isinstance(
            value, (str, int, float)) and value is not False:
        names = ', '.join(map(str, list(node)[:5]))
        raise UserError(f'{name}={value}: {name} is a group of settings '
                        f'({names}). Set one of them, such as '
                        f'{name}.{next(iter(node))}=…')


def _paths(path: tuple[str, ...], value: Any) -> Iterator[tuple[str, ...]]:
    """A setting and the settings within its value."""
    yield path
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _paths((*path, str(key)), inner)


def _refuse_unread(before: Config, config: Config, path: tuple[str, ...],
                   rest: tuple[str, ...]) -> None:
    """Raise an error if a new setting of a config is unused.

    Args:
        before: The config in the file.
        config: The config with the new settings.
        path: Path of the setting.
        rest: The rest of the given name.
    """
    *parents, name = path
    if name in _MARKS or isinstance(group_at(config, parents), (list, tuple)):
        return
    known = group_at(before, parents)
    known = set(known) if isinstance(known, Mapping) else set()
    names = accepted_names(config, parents)
    if not parents:
        if name in names or name in known and _may_be_read(before, name):
            return
        known = set()
    elif name in known or names is not None and name in names:
        return
    elif names is None and not _close(name, known, .85):
        # Any name may be used here, unless it looks misspelled.
        return
    text = f'nothing reads {".".join((*path, *rest))}'
    if not parents and name in before:
        text += f': {name} is a variable that only the config file reads'
    elif parents == ['default_hooks']:
        text += ': a new hook needs a type'
    near = _nearest(before, path, {*(names or ()), *known})
    near = [' or '.join('.'.join((n, *rest)) for n in near[:3])]
    raise UserError(f'{text}. Did you mean {near[0]}?' if near[0] else text +
                    '.')


def _may_be_read(config: Config, name: str) -> bool:
    """Whether the user's own code may read a variable of a config file."""
    imports = (config.get('custom_imports') or {}).get('imports') or ()
    imports = [imports] if isinstance(imports, str) else imports
    own = [i for i in imports if i.split('.')[0] not in (*HOSTS, 'glid_mm')]
    return bool(own) and not _elsewhere(config, [name])


def _nearest(config: Config, path: tuple[str, ...], names: set) -> list[str]:
    """Existing settings with similar names, the most likely first."""
    *parents, name = path
    here = _close(name, names, .6 if parents else .75)
    here = ['.'.join((*parents, n)) for n in here]
    there = _elsewhere(config, [name])
    if there and not parents:
        return there
    if here or there:
        return here or there
    last = {p.rpartition('.')[2] for p in _settings(config)}
    return _elsewhere(config, _close(name, last, .62))


def _elsewhere(config: Config, names: Sequence[str]) -> list[str]:
    """Settings with these names, training and outer settings first."""
    found = [p for p in _settings(config) if p.rpartition('.')[2] in names]
    return sorted(
        found, key=lambda p: (p.count('.'), not p.startswith('train'), p))


def _settings(config: Config) -> list[str]:
    """Dotted names of all settings of a config, without its variables."""
    top = accepted_names(config, ())
    return [
        '.'.join(path) for key, value in config.items() if key in top
        for path in _paths((key, ), value)
    ]


def _close(name: str, names, cutoff: float) -> list[str]:
    return get_close_matches(name, sorted(map(str, names)), 1, cutoff)
