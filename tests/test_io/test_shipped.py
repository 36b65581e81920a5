"""The weights that ship with glid_mm."""
import hashlib
import subprocess
import sys

import pytest
import torch
import yaml

from glid_mm.errors import CheckpointError, UserError
from glid_mm.io import shipped
from glid_mm.io.checkpoints import (find_checkpoint, pack_weights,
                                    read_checkpoint)
from glid_mm.scenes import write_scenes
from glid_mm.study import Start, read_start
from glid_mm.visualization import read_metrics
from ..test_tools.test_tools import ROOT, run

MOST_BYTES = 25e6


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A weights folder with one file, ``weights:small``."""
    weights = {
        'a': torch.tensor([.5, -2.], dtype=torch.float16),
        'rows': torch.tensor([0, 20])
    }
    data = pack_weights(weights, {}, '.safetensors')
    digest = hashlib.sha256(data).hexdigest()[:8]
    path = tmp_path / f'small-{digest}.safetensors'
    path.write_bytes(data)
    monkeypatch.setattr(shipped, 'FOLDER', tmp_path)
    return path


def test_a_name_stands_for_the_file(stand_in):
    assert find_checkpoint('weights:small') == stand_in
    weights = read_checkpoint('weights:small')['state_dict']
    # Weights are loaded as float32: some operations need full precision.
    assert weights['a'].dtype == torch.float32
    assert weights['a'].tolist() == [.5, -2.]
    assert weights['rows'].dtype == torch.int64


def test_mmengine_finds_them_too(stand_in):
    from mmengine.runner.checkpoint import CheckpointLoader
    content = CheckpointLoader.load_checkpoint('weights:small')
    assert content['state_dict']['a'].tolist() == [.5, -2.]


def test_a_study_starts_from_them(stand_in):
    assert read_start('small=weights:small:encoder') == Start(
        'small', 'weights:small', ('encoder', ))
    with pytest.raises(UserError, match='weights:big.*weights:small'):
        read_start('all', 'weights:big')


def test_an_unknown_name_lists_the_known(stand_in):
    with pytest.raises(CheckpointError, match='weights:big.*weights:small'):
        read_checkpoint('weights:big')


@pytest.mark.parametrize('place', [0, 100, -1])
def test_a_changed_byte_is_refused_by_name(stand_in, place):
    data = bytearray(stand_in.read_bytes())
    data[place] ^= 1
    stand_in.write_bytes(data)
    with pytest.raises(CheckpointError, match=f'{stand_in.name} is altered'):
        read_checkpoint('weights:small')


def test_what_is_shipped_is_small_whole_and_described():
    found = shipped.shipped()
    total = sum(path.stat().st_size for path in shipped.FOLDER.iterdir())
    assert total < MOST_BYTES
    # One file per name.
    assert len(found) == len(list(shipped.FOLDER.glob('*.safetensors')))
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    linked = {
        model['Weights']: model['Config']
        for model in index['Models'] if 'Weights' in model
    }
    assert set(linked) == {
        path.relative_to(ROOT).as_posix()
        for path in found.values()
    }
    for name, path in found.items():
        assert not shipped.is_altered(path)
        card = shipped.read_card(name)
        assert card['file'] == path.name
        assert card['sha256'] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert card['config'] == linked[path.relative_to(ROOT).as_posix()]
        assert card['name'] == name


@pytest.mark.slow
@pytest.mark.parametrize('name', [
    name for name in shipped.shipped()
    if 'depth/rmse' in shipped.read_card(name)['metrics']
])
def test_a_model_reaches_the_figure_of_its_card(name, tmp_path, monkeypatch):
    """Tests only depth, as an example of the tasks in the file."""
    write_scenes(tmp_path / 'scenes', 0, 200, 0, 128, seed=0, workers=2)
    run(monkeypatch, 'test.py',
        ROOT / 'configs/depth/glid_nano_1xb16-14k_scenes-depth-128x128.py',
        f'weights:{name}', '--work-dir', tmp_path / 'test', '--cfg-options',
        f'test_dataloader.dataset.data_root={tmp_path / "scenes"}',
        'test_dataloader.num_workers=0',
        'test_dataloader.persistent_workers=False',
        'model.backbone.decoder.value_positions=True')
    figure = shipped.read_card(name)['metrics']['depth/rmse']
    assert read_metrics(tmp_path / 'test')['rmse'] == pytest.approx(
        figure, rel=1e-3)


@pytest.mark.slow
def test_the_package_carries_them(tmp_path):
    subprocess.run([
        sys.executable, 'setup.py', '--quiet', 'build_py', '--build-lib',
        tmp_path
    ],
                   cwd=ROOT,
                   check=True)
    here, there = (
        sorted(p.name for p in folder.iterdir())
        for folder in (shipped.FOLDER, tmp_path / 'glid_mm' / 'weights'))
    assert here == there
