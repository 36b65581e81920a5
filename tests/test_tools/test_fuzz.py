"""What the fuzzing tool reports, and a run without findings."""
import random
import subprocess
import sys
from pathlib import Path

import pytest

from glid_mm.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fuzz(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    import fuzz
    return fuzz


def text(fuzz, read, compare=lambda self, path, value: None):
    """A kind of input with the given reader."""
    return type(
        'Text', (fuzz.Kind, ),
        dict(
            make=lambda self, folder: [('a.txt', b'text')],
            read=lambda self, path: read(path),
            compare=compare))(
                Path())


def refuse(path):
    raise UserError(f'{path}: no')


def test_inputs_are_refused_by_name_or_read(fuzz, tmp_path):
    rng = random.Random(0)
    assert fuzz.try_input(text(fuzz, refuse), rng, tmp_path) == 'refused'
    kind = text(fuzz, lambda path: path.read_bytes())
    assert fuzz.try_input(kind, rng, tmp_path) == 'read'


def forget_name(path):
    raise UserError('no')


def fail(path):
    return path.missing


def leave_half(path):
    (path.parent / '.unfinished-x').touch()
    refuse(path)


def accept(path):
    return path


def refuse_strictly(self, path, value):
    raise ValueError('strict')


@pytest.mark.parametrize('read,compare,says', [
    (forget_name, None, 'does not name it'),
    (fail, None, 'AttributeError'),
    (leave_half, None, 'half-written'),
    (accept, refuse_strictly, 'strict reading fails'),
])
def test_all_else_is_a_finding(fuzz, tmp_path, read, compare, says):
    kind = text(fuzz, read, *filter(None, [compare]))
    with pytest.raises(fuzz.Finding, match=says):
        fuzz.try_input(kind, random.Random(0), tmp_path)


def test_the_same_seed_damages_alike(fuzz):
    from mutations import damaged, mistaken_json
    data, other = bytes(range(200)) * 3, b'{"a": [1, {"b": 2}]}'
    for seed in range(50):
        made = [(damaged(random.Random(seed), data, other),
                 mistaken_json(random.Random(seed), other, data))
                for _ in range(2)]
        assert made[0] == made[1]
    assert len({damaged(random.Random(i), data, other)
                for i in range(50)}) > 40  # yapf: disable


def test_fifty_inputs_have_no_finding():
    done = subprocess.run(
        [sys.executable, 'tools/fuzz.py', '--inputs', '50', '--seed', '7'],
        cwd=ROOT,
        env=dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1', PATH=''),
        capture_output=True,
        text=True,
        timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '\n0 findings' in done.stdout
    assert done.stdout.count(' 5 ') >= 10
