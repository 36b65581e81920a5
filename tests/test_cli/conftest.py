"""Scenes, and a fixture that records commands instead of running them."""
import pytest

from glid_mm.cli import tools, training
from glid_mm.scenes import write_scenes


@pytest.fixture(scope='session')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('cli') / 'my scenes'
    write_scenes(root, train=6, val=4, unlabelled=4, size=64, seed=0)
    return root


@pytest.fixture
def started(monkeypatch):
    """The commands that the verbs would have run."""
    commands = []

    def start(command):
        commands.append(list(command))
        raise SystemExit

    for module in (tools, training):
        monkeypatch.setattr(module, 'start', start)
    return commands
