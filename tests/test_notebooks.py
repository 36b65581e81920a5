"""The notebooks run from start to end with tiny settings."""
import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = {path.stem: path for path in (ROOT / 'notebooks').glob('*.ipynb')}
# Tiny parameters of each notebook, and the outputs it then shows.
TINY = dict(
    detection=('pictures, validation, size, steps = 4, 2, 64, 1', ['image']),
    segmentation=('unlabelled, labelled, validation, size = 4, 4, 2, 64\n'
                  'epochs, steps = 1, 1', ['image', 'image']),
    depth=('pictures, validation, size, steps = 4, 2, 64, 1', ['image']))
# Treats `!COMMAND` and the value at the end of a cell as Jupyter does.
KERNEL = '''
import shlex, subprocess, sys

def _shell(line):
    words = shlex.split(line)
    assert words[0] == 'glid', line
    subprocess.run([sys.executable, '-m', 'glid_mm', *words[1:]], check=True)

def _show(value):
    if hasattr(value, '_repr_png_'):
        assert value._repr_png_()
        print('shown: image')
'''


def cells(path, kind):
    return [
        cell for cell in json.loads(path.read_text(encoding='utf-8'))['cells']
        if cell['cell_type'] == kind
    ]


def assigned(code):
    """Names that a cell sets."""
    return {
        node.id
        for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)
    }


def script(path, parameters):
    """The code that Jupyter would run, with other parameters."""
    parts = [KERNEL]
    for cell in cells(path, 'code'):
        code = ''.join(cell['source'])
        if 'parameters' in cell['metadata'].get('tags', ()):
            assert assigned(parameters) == assigned(code)
            code = parameters
        code = re.sub('^!(.*)', r"_shell(f'''\1''')", code, flags=re.M)
        tree = ast.parse(code)
        last = tree.body[-1]
        if isinstance(last, ast.Expr):
            last.value = ast.Call(
                ast.Name('_show', ast.Load()), [last.value], [])
        parts.append(ast.unparse(ast.fix_missing_locations(tree)))
    return '\n'.join(parts)


def test_every_notebook_has_settings():
    assert set(NOTEBOOKS) == set(TINY)


@pytest.mark.parametrize('name', sorted(TINY))
def test_notebooks_carry_no_outputs_and_one_parameter_cell(name):
    tagged = 0
    ids = set()
    for cell in cells(NOTEBOOKS[name], 'code'):
        assert not cell['outputs'] and cell['execution_count'] is None
        tagged += 'parameters' in cell['metadata'].get('tags', ())
        ids.add(cell['id'])
    assert tagged == 1
    assert len(ids) == len(cells(NOTEBOOKS[name], 'code'))


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(TINY))
def test_a_notebook_runs(name, tmp_path):
    for library in ('mmdet', 'mmseg'):
        pytest.importorskip(library)
    parameters, shown = TINY[name]
    (tmp_path / 'notebook.py').write_text(script(NOTEBOOKS[name], parameters))
    done = subprocess.run([sys.executable, 'notebook.py'],
                          cwd=tmp_path,
                          env=dict(os.environ, OMP_NUM_THREADS='1'),
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall('shown: (.*)', done.stdout) == shown
