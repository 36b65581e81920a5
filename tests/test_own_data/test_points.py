"""Keypoints, depth and unlabelled images reach a run unchanged."""
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from glid_mm.datasets.folders import list_images
from glid_mm.datasets.shard_writer import write_shards
from glid_mm.errors import UserError
from glid_mm.own_data import recognise
from glid_mm.own_data.keypoints import metainfo, mirrored
from .build import built, content


def points_of(dataset):
    found = {}
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        points = np.concatenate(
            [info['keypoints'][0], info['keypoints_visible'][0][:, None]], 1)
        found.setdefault(info['img_path'].rpartition('/')[2],
                         []).append(np.round(points, 2).tolist())
    return {name: sorted(rows) for name, rows in found.items()}


def true_points(file):
    names = {image['id']: image['file_name'] for image in file['images']}
    found = {}
    for one in file['annotations']:
        points = np.array(one['keypoints'], np.float32).reshape(-1, 3)
        # mmpose distinguishes only visible and not visible.
        points[:, 2] = np.minimum(points[:, 2], 1)
        if points[:, 2].any():
            found.setdefault(names[one['image_id']],
                             []).append(np.round(points, 2).tolist())
    return {name: sorted(rows) for name, rows in found.items()}


def test_coco_keypoints(scenes, tmp_path):
    data = recognise(scenes, 'pose')
    text = data.describe()
    assert '17 keypoints and how often each is labelled: nose ' in text
    assert '8 pairs of left and right' in text
    config, datasets = built('pose', data.prepare(tmp_path / 'run'))
    assert config.model.backbone.num_queries == 17
    for split in 'train', 'val', 'test':
        file = content(scenes, 'train' if split == 'train' else 'val',
                       'person_keypoints')
        assert points_of(datasets[split]) == true_points(file)
    meta = datasets['train'].metainfo
    # mmpose's own definition of COCO; ours finds the pairs by name.
    from mmpose.datasets.datasets.body import CocoDataset
    theirs = CocoDataset._load_metainfo(CocoDataset.METAINFO)
    for name in 'flip_indices', 'keypoint_id2name':
        assert meta[name] == theirs[name]
    assert np.allclose(meta['sigmas'], theirs['sigmas'])
    assert {frozenset(link)
            for link in meta['skeleton_links']
            } == {frozenset(link)
                  for link in theirs['skeleton_links']}
    assert set(meta['lower_body_ids']) == set(theirs['lower_body_ids'])


def test_other_keypoints(scenes, tmp_path):
    """One file, five points, a skeleton counted from 0, missing fields."""
    root = tmp_path / 'data'
    shutil.copytree(scenes / 'images/train', root / 'images')
    file = content(scenes, 'train', 'person_keypoints')
    names = ['Nose', 'LEye', 'REye', 'ear-l', 'ear-r']
    file['categories'][0].update(
        keypoints=names, skeleton=[[0, 1], [0, 2], [1, 3]])
    for one in file['annotations']:
        one['keypoints'] = one['keypoints'][:15]
        del one['area'], one['num_keypoints'], one['iscrowd']
    (root / 'points.json').write_text(json.dumps(file))
    data = recognise(root, 'pose', val=2)
    config, datasets = built('pose', data.prepare(tmp_path / 'run'))
    assert config.model.backbone.num_queries == 5
    meta = datasets['train'].metainfo
    assert meta['flip_indices'] == [0, 2, 1, 4, 3]
    assert meta['skeleton_links'] == [(0, 1), (0, 2), (1, 3)]
    both = points_of(datasets['train']) | points_of(datasets['val'])
    assert both == true_points(file)
    file['annotations'][0]['keypoints'] = [1., 1., 2.]
    (root / 'points.json').write_text(json.dumps(file))
    with pytest.raises(UserError, match='has 1 keypoints.*instead of 5'):
        recognise(root, 'pose')


def test_objects_are_samples(scenes, tmp_path):
    for root, split in (scenes, None), (lonely(scenes, tmp_path), 2):
        data = recognise(root, 'pose', val=split)
        _, datasets = built('pose', data.prepare(tmp_path / f'run {split}'))
        assert data.trains_on == len(datasets['train'])


def lonely(scenes, tmp_path):
    """Keypoints without a validation part."""
    root = tmp_path / 'lonely'
    shutil.copytree(scenes / 'images/train', root / 'images')
    shutil.copy(scenes / 'annotations/person_keypoints_train.json', root)
    return root


def test_validation_keypoints_in_another_order(scenes, tmp_path):
    root = lonely(scenes, tmp_path)
    other = tmp_path / 'other'
    shutil.copytree(scenes / 'images/val', other / 'images')
    file = content(scenes, 'val', 'person_keypoints')
    (other / 'points.json').write_text(json.dumps(file))
    assert len(recognise(root, 'pose', val=other).parts['val'].samples) == 4
    names = file['categories'][0]['keypoints']
    names[1:3] = names[2:0:-1]
    (other / 'points.json').write_text(json.dumps(file))
    with pytest.raises(
            UserError,
            match='other has the keypoints nose, right_eye, left_eye.*but '
            '.*lonely has nose, left_eye.*in the same order'):
        recognise(root, 'pose', val=other)


@pytest.mark.parametrize('names,swap', [
    (['nose', 'left_eye', 'right_eye'], [0, 2, 1]),
    (['leftHip', 'rightHip', 'tail'], [1, 0, 2]),
    (['L_Eye', 'R_Eye'], [1, 0]),
    (['eye.l', 'eye.r'], [1, 0]),
    (['LElbow', 'RElbow', 'Lip'], [1, 0, 2]),
    (['tail', 'rail', 'leaf', 'reaf'], [0, 1, 2, 3]),
])
def test_left_and_right(names, swap):
    assert mirrored(names) == swap


def test_metainfo_has_what_mmpose_asks_for():
    found = metainfo('', ['left_knee', 'right_knee', 'nose'], [(0, 2)])
    assert [p['type'] for p in found['keypoint_info'].values()
            ] == ['lower', 'lower', 'upper']
    assert [p['swap'] for p in found['keypoint_info'].values()
            ] == ['right_knee', 'left_knee', '']
    assert found['skeleton_info'][0]['link'] == ('left_knee', 'nose')
    assert found['sigmas'] == [.05] * 3 and found['dataset_name']


def depth_of(dataset):
    """Depth in metres as the pipeline's ``LoadDepth`` reads it."""
    loading = next(
        t for t in dataset.pipeline.transforms
        if type(t).__name__ == 'LoadDepth')
    found = {}
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        stem = info['img_path'].rpartition('/')[2].partition('.')[0]
        found[stem] = loading.transform(dict(info,
                                             ori_shape=(64,
                                                        64)))['gt_depth_map']
    return found


def true_depth(scenes, stem, split='train'):
    return np.array(Image.open(
        scenes / f'depth_{split}/{stem}.png')) / np.float32(1000)


def test_depth_in_millimetres(scenes, tmp_path):
    data = recognise(scenes, 'depth')
    assert 'Depth is in 1/1000 m, millimetres' in data.describe()
    config, datasets = built('depth', data.prepare(tmp_path / 'run'))
    for split in 'train', 'val':
        maps = depth_of(datasets[split])
        assert len(maps) == dict(train=6, val=4)[split]
        for stem, depth in maps.items():
            np.testing.assert_allclose(
                depth, true_depth(scenes, stem, split), rtol=1e-6)
    known = np.concatenate(
        [true_depth(scenes, f'00000{i}').ravel() for i in range(6)])
    known = known[known > 0]
    head = config.model.decode_head
    assert .995 < (known <= head.max_depth).mean() and head.min_depth == .1
    assert head.max_depth / 2.5 < np.quantile(known, .999)
    assert config.val_evaluator.max_depth_eval == head.max_depth


@pytest.mark.parametrize('kind,scale,said', [
    ('npy', 1, 'in metres, because'),
    ('npy', 1000, 'in 1/1000 m, millimetres'),
    ('lidar', 256, 'in 1/256 m, as in KITTI'),
    ('png', 500, 'in 1/500 m, as depth_scale says'),
])
def test_depth_in_other_units(scenes, tmp_path, kind, scale, said):
    root = tmp_path / 'data'
    shutil.copytree(scenes / 'images/train', root / 'rgb')
    (root / 'depth').mkdir()
    known = np.ones((64, 64), bool)
    known[1:] = kind != 'lidar'
    known[::4] = True
    for i in range(6):
        depth = true_depth(scenes, f'00000{i}') * known * scale
        path = root / f'depth/00000{i}'
        if kind == 'npy':
            np.save(path, depth)
        else:
            Image.fromarray(depth.round().astype(
                np.uint16)).save(f'{path}.png')
    data = recognise(
        root, 'depth', val=1, depth_scale=scale if scale == 500 else None)
    assert said in data.describe()
    _, datasets = built('depth', data.prepare(tmp_path / 'run'))
    maps = depth_of(datasets['train'])
    assert len(maps) == 5
    for stem, depth in maps.items():
        np.testing.assert_allclose(
            depth, true_depth(scenes, stem) * known, atol=.002)


def test_pictures_of_depth_are_refused(scenes, tmp_path):
    root = tmp_path / 'data'
    shutil.copytree(scenes / 'images/train', root / 'rgb')
    shutil.copytree(scenes / 'semantic_train', root / 'depth')
    with pytest.raises(UserError, match='000000.png has 8 bits'):
        recognise(root, 'depth')
    with pytest.raises(UserError, match='depth has no classes'):
        recognise(root, 'depth', classes=['far'])


def test_pre_training(scenes, tmp_path):
    data = recognise(scenes / 'images', 'pretrain')
    assert '12 images for training' in data.describe()
    _, datasets = built('pretrain', data.prepare(tmp_path / 'run'))
    assert len(datasets['train']) == 12
    assert not (tmp_path / 'run').exists()
    # Label maps do not count as photos.
    data = recognise(scenes, 'pretrain')
    assert '30 pictures in folders of labels' in data.describe()
    _, datasets = built('pretrain', data.prepare(tmp_path / 'run'))
    assert {
        datasets['train'].get_data_info(i)['img_path']
        for i in range(len(datasets['train']))
    } == {str(path)
          for path in (scenes / 'images').rglob('*.jpg')}
    with pytest.raises(UserError, match='pretrain has no validation'):
        recognise(scenes, 'pretrain', val=.1)


def test_pre_training_on_photos_beside_a_folder_of_images(scenes, tmp_path):
    root = tmp_path / 'photos'
    shutil.copytree(scenes / 'images/val', root / 'images')
    shutil.copytree(scenes / 'images/train', root / 'holiday')
    shutil.copytree(scenes / 'semantic_train', root / 'masks')
    data = recognise(root, 'pretrain')
    text = data.describe()
    assert '10 images for training' in text
    assert '6 pictures in folders of labels' in text
    _, datasets = built('pretrain', data.prepare(tmp_path / 'run'))
    assert len(datasets['train']) == 10


def test_pre_training_on_shards(scenes, tmp_path):
    names = list_images(scenes / 'images')
    write_shards(scenes / 'images', names, tmp_path / 'shards')
    data = recognise(tmp_path / 'shards', 'pretrain')
    assert 'shards of pictures' in data.describe()
    _, datasets = built('pretrain', data.prepare(tmp_path / 'run'))
    assert len(datasets['train']) == 12
