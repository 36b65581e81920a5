"""Images and depth maps stay paired; errors name those that do not fit."""
import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image

from glid_mm.errors import UserError
from glid_mm.tasks.depth import (DepthDataset, FixedCrop, LoadDepth,
                                 RandomColour)
from .build import CONFIGS


def dataset(root, **kwargs):
    return DepthDataset(
        data_root=str(root),
        data_prefix=dict(
            img_path='images/train', depth_map_path='depth_train'),
        **kwargs)


def test_pairs_are_found_in_folders_and_in_lists(data_root):
    folders = dataset(data_root)
    assert len(folders) == 4
    (data_root / 'list.txt').write_text(
        '/000002.jpg /000002.png 518.8579\n\n000000.jpg None 721.5\n'
        '000001.jpg 000001.png\n')
    listed = dataset(data_root, ann_file='list.txt')
    for pair, index in zip(map(listed.get_data_info, range(2)), (2, 1)):
        expected = folders.get_data_info(index)
        for key in ('img_path', 'depth_map_path'):
            assert Path(pair[key]) == Path(expected[key])
    assert len(listed) == 2


def test_files_that_are_missing_are_named(data_root):
    with pytest.raises(UserError, match='4 files of 4 pairs.*000000.tif'):
        dataset(data_root, depth_map_suffix='.tif')
    with pytest.raises(UserError, match='ann_file.*elsewhere.txt'):
        dataset(data_root, ann_file='elsewhere.txt')
    (data_root / 'bad.txt').write_text('000002.jpg 000002.png\n000001.jpg\n')
    with pytest.raises(UserError, match="bad.txt, line 2: '000001.jpg'"):
        dataset(data_root, ann_file='bad.txt')
    with pytest.raises(UserError, match='cannot list the images in nowhere'):
        DepthDataset(
            data_prefix=dict(img_path='nowhere', depth_map_path='nowhere'))


def test_data_without_pairs_are_named_and_capitals_are_no_obstacle(
        data_root, tmp_path):
    with pytest.raises(UserError, match='no pair .*ends in .tif '):
        dataset(data_root, img_suffix='.tif')
    (data_root / 'none.txt').write_text('000000.jpg None\n')
    with pytest.raises(UserError, match='no pair .*list .*none.txt'):
        dataset(data_root, ann_file='none.txt')
    for name in ('IMG_1.JPG', 'IMG_1.png'):
        (tmp_path / name).write_bytes(b'1')
    folders = dict.fromkeys(('img_path', 'depth_map_path'), str(tmp_path))
    data = DepthDataset(data_prefix=folders, img_suffix='.jpg')
    assert [Path(pair['img_path']).name for pair in data] == ['IMG_1.JPG']


def test_numpy_files_and_units_of_a_data_set(data_root, tmp_path):
    depth = np.linspace(0, 9, 64 * 64, dtype=np.float32).reshape(64, 64)
    np.save(tmp_path / '000000.npy', depth)
    (data_root / 'npy.txt').write_text('000000.jpg\t000000.npy\n')
    data = DepthDataset(
        data_root=str(data_root),
        ann_file='npy.txt',
        depth_rescale_factor=.5,
        data_prefix=dict(
            img_path='images/train', depth_map_path=str(tmp_path)))
    loading = LoadDepth(depth_rescale_factor=1e-3)
    info = dict(data.get_data_info(0), ori_shape=(64, 64))
    found = loading.transform(info)
    assert np.array_equal(found['gt_depth_map'], depth / 2)
    assert found['depth_rescale_factor'] == .5
    (tmp_path / '000000.npy').write_bytes(b'')
    with pytest.raises(UserError, match='000000.npy cannot be read'):
        loading.transform(info)


def test_depth_maps_that_do_not_fit_are_named(tmp_path):

    def load(pixels, size=(4, 6)):
        path = str(tmp_path / 'depth.png')
        cv2.imwrite(path, pixels)
        return LoadDepth(depth_rescale_factor=1e-3)(
            dict(
                depth_map_path=path,
                img_path='image.jpg',
                ori_shape=size,
                seg_fields=[]))

    depth = np.arange(24, dtype=np.uint16).reshape(4, 6) * 100
    loaded = load(depth)
    assert np.allclose(loaded['gt_depth_map'], depth / 1000)
    assert loaded['gt_depth_map'].dtype == np.float32
    with pytest.raises(UserError, match='4×6 pixels.*image.jpg is 8×12'):
        load(depth, (8, 12))
    with pytest.raises(UserError, match='depth.png has 3 channels'):
        load(np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(UserError, match='depth.png has 8 bits'):
        load(depth.astype(np.uint8))
    (tmp_path / 'text.png').write_text('no picture')
    # One file has two widths, which decoders read differently; the other has a
    # width of 0.
    image = io.BytesIO()
    Image.fromarray(depth.astype(np.float32)).save(image, 'TIFF')
    data = image.getvalue()
    width, compression = (data.index(struct.pack('<HHI', tag, kind, 1))
                          for tag, kind in ((256, 4), (259, 3)))
    for name, place, tag in (('two.tif', compression, struct.pack('<H', 256)),
                             ('none.tif', width + 8, bytes(4))):
        (tmp_path / name).write_bytes(data[:place] + tag +
                                      data[place + len(tag):])
    for name in ('text.png', 'missing.png', 'two.tif', 'none.tif'):
        with pytest.raises(UserError, match=f'{name} cannot be read'):
            LoadDepth()(
                dict(
                    depth_map_path=str(tmp_path / name),
                    ori_shape=(4, 6),
                    seg_fields=[]))


def test_colours_change_as_configured():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    same = RandomColour(1., (1, 1), (1, 1), (1, 1))(dict(img=image))['img']
    assert np.array_equal(same, image)
    never = RandomColour(0., (2, 2), (2, 2))(dict(img=image))['img']
    assert np.array_equal(never, image)
    changed = RandomColour(1., (2, 2), (1.5, 1.5),
                           (1, 1))(dict(img=image))['img']
    for value in (0, 50, 200, 255):
        expected = min(255, 1.5 * 255 * (value / 255)**2)
        assert abs(float(changed.reshape(-1, 3)[value, 1]) - expected) <= .5
    np.random.seed(0)
    single = RandomColour(1., (1, 1), (1, 1), (.5, .9))(dict(img=image))['img']
    assert len(set(single[10, 10].tolist())) == 3


@pytest.mark.parametrize('name,size,cropped',
                         [('nyu', (480, 640), (416, 544)),
                          ('custom', (720, 1280), (360, 544))])
def test_images_and_depth_stay_together_through_the_pipelines(
        tmp_path, name, size, cropped):
    config = Config.fromfile(CONFIGS /
                             f'glid_swin-b_8xb2-38k_{name}-416x544.py')
    # The image's brightness encodes the depth.
    y, x = np.indices(size) * (640 / size[1])
    level = 40 + 40 * np.sin(x / 60) + 40 * np.cos(y / 50 + x / 90) + 50
    folders = config.train_dataloader.dataset.data_prefix
    for folder, pixels in ((folders.img_path, level.astype(np.uint8)),
                           (folders.depth_map_path,
                            (50 * level).astype(np.uint16))):
        (tmp_path / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / folder / 'a.png'), pixels)
    init_default_scope('mmseg')
    settings = config.train_dataloader.dataset
    settings.data_root = str(tmp_path)
    rotation = settings.pipeline[3]
    assert rotation.type == 'RandomRotate'
    rotation.prob = 1.
    settings.pipeline = [
        x for x in settings.pipeline if x.type != 'glid_mm.RandomColour'
    ]
    data = DATASETS.build(settings)
    np.random.seed(0)
    flips, shares = set(), []
    for _ in range(4):
        packed = data[0]
        sample = packed['data_samples']
        depth = sample.gt_depth_map.data[0]
        assert packed['inputs'].shape == (3, *cropped)
        assert depth.shape == cropped
        known = depth > 0
        shares.append(known.float().mean().item())
        image = packed['inputs'][0].float()
        difference = (image - depth * 20).abs()[known]
        assert difference.median() < 2 and difference.quantile(.9) < 4
        flips.add(sample.flip)
    assert flips == {False, True}
    # Rotation leaves black corners of unknown depth.
    assert .9 < min(shares) < 1


def test_a_crop_outside_the_image_is_refused():
    results = dict(
        img=np.zeros((6, 8, 3)),
        gt_depth_map=np.arange(48).reshape(6, 8),
        seg_fields=['gt_depth_map'])
    cut = FixedCrop((1, 2, 7, 5))(results)
    assert cut['img_shape'] == cut['gt_depth_map'].shape == (3, 6)
    assert cut['gt_depth_map'][0, 0] == 17
    with pytest.raises(UserError, match='not inside an image of 3×6'):
        FixedCrop((1, 2, 7, 5))(cut)
