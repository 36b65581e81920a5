"""A built wheel carries configs, tools, the model index and the weights."""
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

pytest.importorskip('setuptools')

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = {
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / 'configs').rglob('*.py')
}
MIM = 'glid_mm/.mim/'
# Runs outside the checkout, with the unpacked wheel on the path.
USE = """
import importlib.metadata
import runpy
import sys
from pathlib import Path

import glid_mm
import glid_mm.registry
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import MODELS, init_default_scope

mim = Path(glid_mm.__file__).parent / '.mim'
assert str(mim).startswith(sys.argv[1])
for path in sys.argv[2:]:
    name = path.removeprefix('configs/')
    Path('mine.py').write_text(f'_base_ = ["glid_mm::{name}"]')
    mine, theirs = (
        Config.fromfile(file, import_custom_modules=False).to_dict()
        for file in ('mine.py', mim / path))
    assert mine == theirs, path
name = 'segmentation/glid_nano_1xb16-2k_scenes-128x128.py'
Path('mine.py').write_text(f'_base_ = ["glid_mm::{name}"]')
config = Config.fromfile('mine.py')
assert get_config(f'glid_mm::{name}').to_dict() == config.to_dict()
init_default_scope(config.default_scope)
assert type(MODELS.build(config.model)).__name__ == 'GLIDSegmentor'
runpy.run_path(str(mim / 'tools/train.py'))
"""


def build(folder, what):
    """Build with setuptools in a subprocess, as pip does."""
    code = ('import setuptools.build_meta\n'
            f'print(setuptools.build_meta.build_{what}(".."))')
    done = subprocess.run([sys.executable, '-c', code],
                          cwd=folder,
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return folder.parent / done.stdout.splitlines()[-1]


@pytest.fixture
def sources(tmp_path):
    """A copy of the files that a build reads, in a path with a space."""
    folder = tmp_path / 'a checkout' / 'sources'
    folder.mkdir(parents=True)
    for name in ('setup.py', 'setup.cfg', 'MANIFEST.in', 'README.md',
                 'LICENSE', 'model-index.yml'):
        shutil.copy(ROOT / name, folder)
    for name in ('glid_mm', 'configs', 'tools', 'requirements'):
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    return folder


@pytest.mark.slow
def test_wheel_has_all_and_finds_its_configs_from_any_folder(
        sources, tmp_path):
    pytest.importorskip('mmseg')
    # Build from the sdist, over the remains of an older build.
    sdist = build(sources, 'sdist')
    with tarfile.open(sdist) as tar:
        tar.extractall(sdist.parent)
    folder = sdist.parent / sdist.name.removesuffix('.tar.gz')
    old = folder / 'build/lib' / MIM / 'configs/detection/gone.py'
    old.parent.mkdir(parents=True)
    old.touch()
    site, elsewhere = tmp_path / 'site', tmp_path / 'elsewhere'
    elsewhere.mkdir()
    with zipfile.ZipFile(build(folder, 'wheel')) as file:
        names = set(file.namelist())
        file.extractall(site)

    inside = {n.removeprefix(MIM) for n in names if n.startswith(MIM)}
    assert {path for path in inside if path.startswith('configs/')} == CONFIGS
    for path in CONFIGS:
        assert (site / MIM / path).read_bytes() == (ROOT / path).read_bytes()
    models = yaml.safe_load((site / MIM / 'model-index.yml').read_text())
    for model in models['Models']:
        assert model['Config'] in inside
        assert model.get('Weights', 'glid_mm/__init__.py') in names
    assert {'tools/train.py', 'tools/test.py', 'tools/dist_train.sh'} < inside
    assert 'tools/demo.py' not in inside
    assert not [name for name in names if '__pycache__' in name]

    # One config per task.
    some = {path.split('/')[1]: path for path in sorted(CONFIGS)}
    del some['_base_']
    done = subprocess.run(
        [sys.executable, '-c', USE,
         str(site), *some.values()],
        cwd=elsewhere,
        env=dict(os.environ, PYTHONPATH=str(site)),
        capture_output=True,
        text=True)
    assert done.returncode == 0, done.stderr


def test_links_that_became_files_are_refused(sources):
    link = sources / MIM / 'configs'
    link.unlink()
    link.write_text('../../configs')
    with pytest.raises(AssertionError, match='git config core.symlinks true'):
        build(sources, 'wheel')
