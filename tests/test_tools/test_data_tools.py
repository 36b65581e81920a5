"""Command-line tools that make data sets and time the data pipeline."""
import json
import re
from argparse import Namespace

import numpy as np
import pytest
from PIL import Image

from glid_mm.datasets.fraction import drawn_order
from glid_mm.datasets.unlabelled import UnlabelledImages
from glid_mm.scenes import render_scene, write_scenes
from .test_tools import ROOT, run, told

CONVERTER = 'dataset_converters/shard_images.py'
SPLITTER = 'dataset_converters/split_names.py'
SEMANTIC = 'dataset_converters/coco_panoptic_to_semantic.py'
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
def test_sizes_are_measured_on_own_data(monkeypatch, one_thread):
    monkeypatch.syspath_prepend(str(ROOT / 'tools' / 'analysis_tools'))
    from benchmark_sizes import train
    found = train('depth', 'nano', Namespace(batch_size=2, steps=3, threads=1))
    assert found['batch'] == 2
    assert found['parameters'] == pytest.approx(5.1, abs=.05)
    assert found['images_per_second'] == pytest.approx(2 / found['seconds'])
    # GiB of this process: libraries and weights at least.
    assert .2 < found['memory'] < 64


@pytest.mark.slow
def test_pipelines_are_timed(folder, tmp_path, monkeypatch, capsys,
                             one_thread):
    assert 'torn.jpg. Move them elsewhere' in told(monkeypatch, BENCHMARK,
                                                   folder)
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


def test_names_are_split_in_the_order_of_fractions(tmp_path, monkeypatch):
    names = [f'2008_{number:06d}' for number in range(12)]
    (tmp_path / 'train.txt').write_text('\n'.join(names))

    def split(*parts):
        run(monkeypatch, SPLITTER, tmp_path / 'train.txt', tmp_path / 'out',
            *parts, '--seed', 3)
        return [(tmp_path / 'out' / f'{part.split("=")[0]}.txt').read_text()
                for part in parts]

    labelled, held_out, rest = split('labelled=3', 'held_out=2', 'rest=7')
    parts = [text.split() for text in (labelled, held_out, rest)]
    assert list(map(len, parts)) == [3, 2, 7]
    assert sum(parts, []) == drawn_order(names, 3)
    # A larger part starts with the smaller one.
    assert split('labelled=9')[0].startswith(labelled)


@pytest.mark.parametrize('text, parts, words', [
    ('a\nb', ['x=3'], 'the parts have 3 names, but .*train.txt has 2'),
    ('a\nb', ['x=1', 'x=1'], 'two parts have the same name'),
    ('a\na', ['x=1'], 'has a 2 times'),
])
def test_splits_that_cannot_be_are_refused(tmp_path, monkeypatch, text, parts,
                                           words):
    (tmp_path / 'train.txt').write_text(text)
    message = told(monkeypatch, SPLITTER, tmp_path / 'train.txt',
                   tmp_path / 'out', *parts)
    assert re.search(words, message)
    assert not (tmp_path / 'out').exists()


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'scenes'
    write_scenes(root, train=3, val=0, unlabelled=0, size=64, seed=1)
    return root


def test_panoptic_maps_become_semantic(scenes, tmp_path, monkeypatch):
    args = (scenes / 'annotations/panoptic_train.json',
            scenes / 'panoptic_train')
    run(monkeypatch, SEMANTIC, *args, tmp_path / 'all')
    run(monkeypatch, SEMANTIC, *args, tmp_path / 'two', '--supercategories')
    categories = json.loads(args[0].read_text())['categories']
    classes = (tmp_path / 'all/classes.txt').read_text().split()
    assert classes == [c['name'] for c in categories]
    groups = (tmp_path / 'two/classes.txt').read_text().split()
    assert sorted(groups) == ['stuff', 'thing']
    group_of = np.full(256, 255)
    for index, category in enumerate(categories):
        group_of[index] = groups.index(category['supercategory'])
    for number in range(3):
        name = f'{number:06d}.png'
        drawn, found, grouped = (
            np.array(Image.open(folder / name))
            for folder in (scenes / 'semantic_train', tmp_path / 'all',
                           tmp_path / 'two'))
        # Scenes draw semantic maps separately; they agree where labelled.
        known = found != 255
        assert known.mean() > .9
        assert (found == drawn)[known].all()
        assert (grouped == group_of[found]).all()


def test_panoptic_annotations_that_are_none_are_refused(
        scenes, tmp_path, monkeypatch):
    instances = scenes / 'annotations/instances_train.json'
    path = scenes / 'annotations/panoptic_train.json'
    for args, words in (((tmp_path / 'none.json', tmp_path),
                         'none.json'), ((instances, tmp_path), 'file_name'),
                        ((path, tmp_path), '000000.png')):
        assert words in told(monkeypatch, SEMANTIC, *args, tmp_path / 'out')
