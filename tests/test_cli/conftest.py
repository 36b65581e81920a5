"""Scenes, and fixtures for commands and machine."""
import math

import pytest

from glid_mm.cli import auto, test, tools, training
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

    for module in (test, tools, training):
        monkeypatch.setattr(module, 'start', start)
    return commands


@pytest.fixture(autouse=True)
def much_memory(monkeypatch):
    """Batches do not depend on the machine that runs the tests."""
    monkeypatch.setattr(auto, 'available_memory', lambda: math.inf)
