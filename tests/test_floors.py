"""Each room (subpackage) of glid_mm imports only from lower floors.

``FLOORS`` lists the rooms from the lowest floor up. The rule also holds for
imports inside functions, so there are no import cycles, and a reader of a
room needs to know nothing above it.
"""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'glid_mm'

FLOORS = (
    ('doctor', 'models', 'scenes'),
    ('errors', ),
    ('io', ),
    ('compat', ),
    ('registry', ),
    ('checkpoint', 'datasets'),
    ('engine', 'visualization'),
    ('backbones', 'own_data', 'study', 'tasks.coco', 'tasks.common',
     'tasks.matching'),
    ('tasks.masks', 'tasks.detection', 'tasks.multitask', 'tasks.pose',
     'tasks.pretraining'),
    ('tasks.panoptic', 'tasks.segmentation'),
    ('tasks.depth', ),
    ('export', 'prediction'),
    ('app', ),
    ('cli', ),
    ('__main__', ),
)
FLOOR = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def room_of(module):
    """``glid_mm.tasks.pose.loading`` -> ``tasks.pose``; '' for ``glid_mm``."""
    _, *parts = module.split('.')
    return '.'.join(parts[:2] if parts[:1] == ['tasks'] else parts[:1])


def imports_of(path, modules):
    """Modules that a file imports, also inside functions."""
    package = module_of(path).split('.')
    if path.name != '__init__.py':
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package[:len(package) + 1 - node.level] * (node.level > 0)
            source = '.'.join(parts + [node.module] * bool(node.module))
            for alias in node.names:
                name = f'{source}.{alias.name}'
                yield name if name in modules else source


def arrows(files):
    """``(importing module, imported module)`` between rooms."""
    modules = {module_of(path) for path in files}
    for path in files:
        for target in imports_of(path, modules):
            source = module_of(path)
            if target.split('.')[0] == PACKAGE.name and room_of(
                    target) not in ('', room_of(source)):
                yield source, target


def upward(pairs):
    return [
        (source, target) for source, target in pairs
        if room_of(source) and FLOOR[room_of(source)] <= FLOOR[room_of(target)]
    ]


def test_every_room_has_a_floor():
    rooms = {room_of(module_of(path)) for path in PACKAGE.rglob('*.py')}
    assert rooms - {'', 'tasks'} == set(FLOOR)


def test_arrows_point_down():
    files = sorted(PACKAGE.rglob('*.py'))
    pairs = list(arrows(files))
    assert ('glid_mm.errors', 'glid_mm.doctor.install') in pairs
    assert not upward(pairs)


@pytest.mark.parametrize('room,line', [
    ('errors.py', 'from .io.files import write_atomically'),
    ('io/files.py', 'def f():\n    from ..compat import prepare'),
    ('tasks/pose/loading.py', 'from ..detection import CocoMetric'),
    ('datasets/coco.py', 'import glid_mm.checkpoint.facts'),
    ('engine/graphs.py', 'from .. import backbones'),
])
def test_an_arrow_up_is_found(room, line, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), 'ROOT', tmp_path)
    files = []
    for path in PACKAGE.rglob('*.py'):
        files.append(tmp_path / path.relative_to(PACKAGE.parent))
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        files[-1].write_text('')
    (tmp_path / 'glid_mm' / room).write_text(line)
    (source, _), = upward(arrows(files))
    assert source == module_of(tmp_path / 'glid_mm' / room)


def test_the_package_alone_imports_no_library():
    code = ('import sys\n'
            'before = set(sys.modules)\n'
            'import glid_mm\n'
            'print(sorted({name.split(".")[0] for name in '
            'set(sys.modules) - before}))')
    done = subprocess.run([sys.executable, '-c', code],
                          cwd=ROOT,
                          capture_output=True,
                          text=True)
    assert done.stdout == "['glid_mm']\n", done.stderr
