"""Our types resolve by their full name under any default scope."""
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('mmengine')

from glid_mm import registry  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
NODES = [getattr(registry, name) for name in registry.__all__]


@pytest.mark.parametrize('node', NODES, ids=registry.__all__)
def test_node_is_a_child_of_mmengines_and_its_locations_import(node):
    assert node.scope == 'glid_mm'
    assert node.parent.scope == 'mmengine'
    assert node.parent.children['glid_mm'] is node
    assert node._locations  # or mmengine warns that we are not installed
    for location in node._locations:
        importlib.import_module(location)


@pytest.mark.slow
@pytest.mark.parametrize('scope', ['mmengine', 'mmseg', 'mmdet'])
def test_resolves_in_a_fresh_process_under_a_hosts_scope(scope):
    pytest.importorskip(scope)
    code = ('from glid_mm import compat\n'
            'compat.prepare()\n'
            'from mmengine.registry import MODELS, DefaultScope\n'
            f'DefaultScope.get_instance("here", scope_name="{scope}")\n'
            f'from {scope}.registry import MODELS\n'
            'print(MODELS.get("glid_mm.GLID"))')
    done = subprocess.run([sys.executable, '-c', code],
                          cwd=ROOT,
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    assert 'glid_mm' in done.stdout and 'GLID' in done.stdout
