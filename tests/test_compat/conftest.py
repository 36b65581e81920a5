"""Tests of the shims run in separate processes.

``sys.modules`` of this process differs from that of a fresh start.
"""
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path):
    """A function that runs Python code and returns its output.

    ``files`` maps paths to contents: modules that shadow those of the
    environment.
    """

    def run_code(code, files=None, flags=()):
        for path, text in (files or {}).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        paths = [str(tmp_path), str(ROOT)]
        env = dict(os.environ, PYTHONPATH=os.pathsep.join(paths))
        done = subprocess.run([sys.executable, *flags, '-c', code],
                              env=env,
                              cwd=tmp_path,
                              capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run_code
