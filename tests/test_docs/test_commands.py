"""Every command in the documents is accepted by its parser."""
import argparse
import ast
import importlib
import json
import re
import runpy
import shlex
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from glid_mm.cli import tools as cli_tools
from glid_mm.cli import verbs
from glid_mm.engine import launch
from glid_mm.errors import MissingLibraryError, UserError
from .pages import NOTEBOOKS, PAGES, ROOT, blocks, name, prose, read

# Placeholders in the documents, and the words that replace them.
_STANDS_FOR = dict(
    SEED=['0'],
    WEIGHT=['1'],
    N=['2'],
    SETTINGS=[],
    VERB=['train'],
    TASK=['semantic'],
    WHAT=['inspect'])
_START = re.compile(
    r'(?:python (?:tools/|-m glid_mm)|glid |tools/\S+\.py |make )')
# Prose may name a command without its arguments.
_NAME = re.compile(r'glid (convert )?[a-z-]+|python tools/\S+')
_SPAN = re.compile(r'(?<!`)`([^`]+)`(?!`)')


class Refused(BaseException):
    """A parser's error message; ``except Exception`` does not catch it."""


class Accepted(BaseException):
    """A command was parsed; the program stops before running it."""


def commands(path):
    """Command lines in a page's code blocks and prose."""
    text = read(path)
    if path.suffix == '.ipynb':
        for cell in json.loads(path.read_text(encoding='utf-8'))['cells']:
            if cell['cell_type'] == 'code':
                yield from re.findall('^!(.*)', ''.join(cell['source']), re.M)
    for language, content in blocks(text):
        if language.strip() in ('', 'bash', 'console', 'sh'):
            for line in re.sub(r'\\\n', ' ', content).splitlines():
                for part in line.split(' && '):
                    part = part.strip().removeprefix('$ ')
                    if _START.match(part):
                        yield part
    for span in _SPAN.findall(prose(text)):
        span = ' '.join(span.split())
        if _NAME.fullmatch(span):
            yield f'{span} --help'
        elif _START.match(span):
            yield span


def words_of(line):
    """Words of a command, with placeholders replaced by examples."""
    line = re.sub(r'\{(\w+)(?:,\w+)+\}', r'\1', line)  # {one,of,these}
    line = re.sub(r'\[(-[^]]*|[A-Z]+)\]', r'\1', line)  # [--optional]
    words = []
    for word in shlex.split(line, comments=True):
        if word[:1] in ('>', '|', '<'):
            break
        if word in ('…', '...'):
            continue
        value = word.partition('=')[2]
        if value in _STANDS_FOR:
            word = word.replace(value, *_STANDS_FOR[value])
        elif re.fullmatch(r'\{\w+\}', word):  # a variable of a notebook
            word = '1'
        words.extend(_STANDS_FOR.get(word, [word]))
    return words


@contextmanager
def parsers_only():
    """Make every parser stop the program once it has read the command."""
    parse = argparse.ArgumentParser.parse_args

    def refuse(self, message):
        raise Refused(message)

    def accept(self, args=None, namespace=None):
        raise Accepted(parse(self, args, namespace))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, 'error', refuse)
        patch.setattr(argparse.ArgumentParser, 'parse_args', accept)
        patch.setattr(cli_tools, 'start', lambda command: start(*command[1:]))
        yield


def start(script, *arguments):
    """Run ``python SCRIPT ARGUMENTS`` in this process."""
    handlers = {
        sign: signal.getsignal(sign)
        for sign in signal.valid_signals()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', [str(script), *arguments])
        patch.syspath_prepend(Path(script).parent)
        try:
            runpy.run_path(str(script), run_name='__main__')
        finally:
            for sign, handler in handlers.items():
                if signal.getsignal(sign) is not handler:
                    signal.signal(sign, handler)


def parsed(words):
    """The parsed arguments of a command; None if it asks for help.

    Raises:
        Refused: The parser rejects the command.
    """
    if words[0] == 'make':
        targets = set(
            re.findall(r'^([\w -]+):(?!=)', (ROOT / 'Makefile').read_text(),
                       re.M))
        targets = set(' '.join(targets).split())
        for word in words[1:]:
            if '=' not in word and word not in targets:
                raise Refused(f'make has no target {word}')
        return None
    if words[0] == 'python':
        words = words[1:]
    if words[:2] == ['-m', 'glid_mm']:
        words = ['glid', *words[2:]]
    if words[:2] in (['-m', 'glid_mm.doctor'], ['glid', 'doctor']):
        if words[2:] not in ([], ['--help']):
            raise Refused('the doctor takes no arguments')
        return None  # it reads no arguments
    try:
        with parsers_only():
            if words[0] == 'glid':
                verbs.run(*words[1:])
            elif not (ROOT / words[0]).is_file():
                raise Refused('no such script')
            else:
                start(ROOT / words[0], *words[1:])
    except Accepted as accepted:
        return accepted.args[0]
    except SystemExit as stop:
        if stop.code:
            raise Refused(stop.code) from stop
        return None
    raise AssertionError(f'{words[0]} has no parser')


def check(line):
    """Parse a command, and check the configs and settings it names.

    Raises:
        Refused: The command, a config or a setting is wrong.
    """
    args = parsed(words_of(line))
    for word in words_of(line):
        if word.startswith('configs/') and word.endswith('.py') and not (
                ROOT / word).is_file() and 'CONFIG' not in word:
            raise Refused(f'there is no {word}')
    config = getattr(args, 'config', None)
    options = getattr(args, 'cfg_options', None)
    if options and config and (ROOT / config).is_file():
        try:
            launch.read_config(str(ROOT / config), options)
        except UserError as error:
            raise Refused(error) from error


def wrong(lines):
    """The commands that are wrong, each with its error."""
    for line in lines:
        try:
            check(line)
        except Refused as refused:
            yield f'{line}: {refused}'


@pytest.mark.parametrize('path', [*PAGES, *NOTEBOOKS], ids=name)
def test_commands(path):
    assert not list(wrong(commands(path)))


def test_commands_are_found(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('''Call `glid train`, `glid train
detection DATA` or `make` or [x](y).
```bash
cd x && python tools/train.py CONFIG \\
    --resume  # comment
$ glid export RUN > log
pip install x
```
```python
make = 1
```
''')
    assert [words_of(line) for line in commands(page)] == [
        ['python', 'tools/train.py', 'CONFIG', '--resume'],
        ['glid', 'export', 'RUN'],
        ['glid', 'train', '--help'],
        ['glid', 'train', 'detection', 'DATA'],
    ]


NANO = 'configs/detection/glid_nano_1xb16-7k_scenes-128x128.py'


@pytest.mark.parametrize('line, why', [
    ('python tools/trains.py CONFIG', 'no such script'),
    ('python tools/train.py', 'required: config'),
    ('python tools/train.py CONFIG --auto-scale-rl', 'unrecognized'),
    ('python tools/train.py CONFIG --seed five', 'invalid int'),
    ('python tools/train.py CONFIG --cfg-options x', 'KEY=VALUE'),
    ('python tools/train.py configs/detection/gone.py', 'there is no'),
    (f'python tools/train.py {NANO} --cfg-options optim_wrapper.lr=1', 'lr'),
    ('tools/study.py CONFIG', '--out'),
    ('glid trains detection DATA', 'invalid choice'),
    ('glid train detecting DATA', 'invalid choice'),
    ('glid train detection DATA --epoch-s 1', 'unrecognized'),
    ('glid convert too-glid A B', 'to-glid'),
    ('glid convert to-glid A', 'required'),
    ('python -m glid_mm predict RUN', 'PICTURES'),
    ('make tests', 'target'),
])
def test_a_wrong_command_is_refused(line, why):
    with pytest.raises(Refused, match=why):
        check(line)


def test_python_blocks_parse_and_import_what_is_there():
    problems = []
    for path in PAGES:
        for language, code in blocks(read(path)):
            if language.strip() != 'python':
                continue
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.ImportFrom) and (
                        node.module.startswith('glid_mm')):
                    try:
                        module = importlib.import_module(node.module)
                    except MissingLibraryError:
                        continue  # this environment lacks the task's library
                    problems += [
                        f'{name(path)}: {node.module}.{alias.name}'
                        for alias in node.names
                        if not hasattr(module, alias.name)
                    ]
    assert not problems
