"""The command lines that make shards and time the data pipeline."""
import json

import pytest
from PIL import Image

from glid_mm.datasets.scenes import render_scene
from glid_mm.datasets.unlabelled import UnlabelledImages
from .test_tools import run, told

CONVERTER = 'dataset_converters/shard_images.py'
BENCHMARK = 'analysis_tools/benchmark_pipeline.py'


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / 'photos'
    folder.mkdir()
    for index in range(3):
        Image.fromarray(render_scene(
            0, 'train', index, (240, 320)).image).save(folder / f'{index}.jpg')
    (folder / 'torn.jpg').write_bytes((folder / '0.jpg').read_bytes()[:2000])
    return folder


@pytest.mark.slow
def test_folder_becomes_shards(folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'shards'
    run(monkeypatch, CONVERTER, folder, out, '--shorter-side', 64,
        '--images-per-shard', 2, '--workers', 1)
    shown = capsys.readouterr().out
    assert f'left out: {folder}/torn.jpg: image file is' in shown
    assert f'3 images in 2 shards in {out}, 1 left out' in shown
    assert len(UnlabelledImages(str(out))) == 3
    message = told(monkeypatch, CONVERTER, folder, out, '--quality', 50)
    assert 'shorter_side, quality, images_per_shard differ' in message
    assert 'cannot list' in told(monkeypatch, CONVERTER, tmp_path / 'none',
                                 out)
    (tmp_path / 'empty').mkdir()
    assert 'there are no images' in told(monkeypatch, CONVERTER,
                                         tmp_path / 'empty', out)


@pytest.mark.slow
def test_pipelines_are_timed(folder, tmp_path, monkeypatch, capsys,
                             one_thread):
    assert 'torn.jpg: move them away' in told(monkeypatch, BENCHMARK, folder)
    (folder / 'torn.jpg').unlink()
    run(monkeypatch, BENCHMARK, folder, '--batch-size', 2, '--repeats', 1,
        '--shorter-side', 200, '--json', tmp_path / 'figures.json')
    figures = json.loads((tmp_path / 'figures.json').read_text())['results']
    assert list(figures) == [
        "files, hosts' transforms", 'files', 'shards',
        'shards, crops resized on the device'
    ]
    assert all(row['images_per_second'] > 0 for row in figures.values())
    assert 'on one core' in capsys.readouterr().out
