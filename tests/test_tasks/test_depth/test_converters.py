"""Converters write the layout that the data sets read."""
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from glid_mm.errors import UserError
from glid_mm.tasks.depth import DepthDataset
from .build import ROOT


def converter(name):
    return runpy.run_path(str(ROOT / 'tools' / 'dataset_converters' / name))


def test_nyuv2s_labelled_pairs_are_turned_and_split():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, 3, 640, 480), np.uint8)
    depths = rng.uniform(0, 10, (2, 640, 480)).astype(np.float32)
    mat = {
        'images': images,
        'rawDepths': depths,
        'sceneTypes': [['a', 'b']],
        'a': np.array([[ord(c)] for c in 'kitchen'], np.uint16),
        'b': np.array([[ord(c)] for c in 'home_office'], np.uint16)
    }
    pairs = converter('nyuv2.py')['labelled_pairs'](mat, {1})
    for i, (split, name, image, depth) in enumerate(pairs):
        assert split == ('test', 'train')[i]
        assert name == ('kitchen_00000', 'home_office_00001')[i]
        assert image.shape == (480, 640, 3) and depth.shape == (480, 640)
        assert image[100, 200].tolist() == images[i, :, 200, 100].tolist()
        assert (image[:7] == 0).all() and (image[:, 632:] == 0).all()
        assert abs(depth[100, 200] / 1000 - depths[i, 200, 100]) <= 5.1e-4
    assert i == 1


def test_nyuv2s_frames_are_laid_out_as_data_sets_read_them(tmp_path):
    from mmseg.datasets import NYUDataset
    tool = converter('nyuv2.py')
    root, out = tmp_path / 'sync', tmp_path / 'nyu'
    for scene in ('bathroom_0001a', 'cafe_0002'):
        (root / scene).mkdir(parents=True)
        for i in range(2):
            (root / scene / f'rgb_0000{i}.jpg').write_text(f'{scene}{i}')
            (root / scene / f'sync_depth_0000{i}.png').write_text(scene)
    tool['link_frames'](tool['frame_pairs'](root), 'train', out)
    tool['link_frames'](tool['frame_pairs'](root, ['cafe_0002/rgb_00001.jpg']),
                        'test', out)
    for split, count in (('train', 4), ('test', 1)):
        prefix = dict(
            img_path=f'images/{split}', depth_map_path=f'annotations/{split}')
        own = DepthDataset(data_root=str(out), data_prefix=prefix)
        theirs = NYUDataset(data_root=str(out), data_prefix=prefix)
        assert len(own) == count
        for i in range(count):
            a, b = own.get_data_info(i), theirs.get_data_info(i)
            assert a['img_path'] == b['img_path']
            assert a['depth_map_path'] == b['depth_map_path']
    last = own.get_data_info(0)['img_path']
    assert last.endswith('cafe_0002_00001.jpg')
    assert Path(last).read_text() == 'cafe_00021'
    (root / 'cafe_0002' / 'sync_depth_00000.png').unlink()
    with pytest.raises(UserError, match='no .*cafe_0002/sync_depth_00000.png'):
        tool['frame_pairs'](root)
    with pytest.raises(UserError, match='no .*rgb_.*nowhere'):
        tool['frame_pairs'](tmp_path / 'nowhere')
    with pytest.raises(
            UserError, match='image.jpg is not an image of a scene'):
        tool['frame_pairs'](root, ['cafe_0002/image.jpg'])


def test_nyuv2s_labelled_file_needs_h5py(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'h5py', None)
    with pytest.raises(ImportError, match='pip install h5py'):
        converter('nyuv2.py')['convert_labelled'](tmp_path / 'a.mat',
                                                  tmp_path / 'b.mat',
                                                  tmp_path / 'out')


def test_lists_of_pairs_are_written_by_split(tmp_path):
    read = converter('list_rgbd_pairs.py')['read_pairs']
    for folder, suffix in (('rgb', 'jpg'), ('depth_mm', 'png')):
        (tmp_path / folder).mkdir()
        for name in ('a b', 'b.1', 'c'):
            (tmp_path / folder / f'{name}.{suffix}').write_bytes(b'1')
    meta = [
        dict(name='c', split='train'),
        dict(name='b.1', split='val'),
        dict(name='a b', split='train')
    ]
    arguments = tmp_path, 'rgb', 'depth_mm', 'meta.json'
    (tmp_path / 'meta.json').write_text(json.dumps(meta))
    splits = read(*arguments)
    for split, names in dict(train=('a b', 'c'), val=('b.1', )).items():
        (tmp_path / f'{split}.txt').write_text(''.join(splits[split]))
        data = DepthDataset(
            ann_file=str(tmp_path / f'{split}.txt'),
            data_prefix=dict.fromkeys(('img_path', 'depth_map_path'),
                                      str(tmp_path)))
        assert [data[i]['img_path'] for i in range(len(data))
                ] == [str(tmp_path / 'rgb' / f'{name}.jpg') for name in names]
    (tmp_path / 'depth_mm' / 'a b.png').unlink()
    with pytest.raises(UserError, match='no .*depth_mm/a b.png'):
        read(*arguments)
    (tmp_path / 'rgb' / 'b.1.jpg').unlink()
    meta.pop()
    (tmp_path / 'meta.json').write_text(json.dumps(meta))
    with pytest.raises(UserError, match="no image named 'b.1'"):
        read(*arguments)
    (tmp_path / 'meta.json').write_text('[1]')
    with pytest.raises(UserError, match='meta.json is not a list'):
        read(*arguments)
