"""Inference from images to depth maps and their visualizations."""
import math
import runpy
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from glid_mm.errors import UserError
from glid_mm.tasks.depth import DepthInferencer, DepthVisualizer
from glid_mm.tasks.depth.visualizer import depth_picture
from .build import ROOT


def test_pictures_have_one_scale_and_show_what_is_unknown():
    depth = np.geomspace(1, 10, 64)[None].repeat(32, 0)
    picture = depth_picture(depth, (1., 10.))
    assert picture.shape[1:] == (64, 3) and picture.shape[0] > 32
    # The colour bar below shows the same colours as this depth.
    assert np.array_equal(picture[31], picture[34])
    assert len(np.unique(picture[:32].reshape(-1, 3), axis=0)) > 50
    depth[:, :8] = 0
    depth[:, 8:12] = math.nan
    depth[:, 12:16] = math.inf
    known = depth_picture(depth)[:32]
    assert (known[:, :16] == 128).all()
    assert len(np.unique(known.reshape(-1, 3), axis=0)) > 40
    sample = SegDataSample()
    truth = torch.rand(1, 32, 64) + 1
    sample.set_data(
        dict(
            gt_depth_map=PixelData(data=truth),
            pred_depth_map=PixelData(data=2 * truth)))
    image = np.zeros((32, 64, 3), np.uint8)
    visualizer = DepthVisualizer()
    both = visualizer.draw(image, sample)
    guess = visualizer.draw(image, sample, draw_gt=False)
    truth = visualizer.draw(image, sample, draw_pred=False)
    assert np.array_equal(both[:, :64], truth)
    assert np.array_equal(both[:, -64:], guess)
    assert not np.array_equal(truth, guess)
    assert np.array_equal(truth[34:], guess[34:])
    assert np.array_equal(visualizer.draw(image), image)
    shown = visualizer.draw(image, sample, with_image=True)
    assert np.array_equal(shown[:32, :64], image)


def test_inferencer_takes_files_folders_and_arrays(data_root, trained,
                                                   tmp_path):
    inferencer = DepthInferencer(*trained, device='cpu', show_progress=False)
    folder = data_root / 'images' / 'val'
    answer = inferencer(folder, out_dir=str(tmp_path), return_vis=True)
    depths, pictures = answer['predictions'], answer['visualization']
    assert len(depths) == len(pictures) == 2
    for i, (depth, picture) in enumerate(zip(depths, pictures)):
        assert depth.shape == (64, 64) and depth.dtype == np.float32
        assert .5 < depth.min() and depth.max() < 20
        written = cv2.imread(
            str(tmp_path / 'pred' / f'00000{i}.png'), cv2.IMREAD_UNCHANGED)
        assert written.dtype == np.uint16
        assert np.abs(written / 1000 - depth).max() < 6e-4
        shown = cv2.imread(str(tmp_path / 'vis' / f'00000{i}.png'))
        assert np.array_equal(shown[..., ::-1], picture)
        assert picture.shape[0] > 64 and picture.shape[1] == 2 * 64 + 4
    path = folder / '000001.jpg'
    alone = inferencer(str(path))['predictions']
    assert np.array_equal(alone, depths[1])
    # Arrays are BGR, as OpenCV reads them.
    image = cv2.imread(str(path))
    given = inferencer([image, image[:40]], out_dir=str(tmp_path / 'array'))
    assert np.abs(given['predictions'][0] - alone).max() < .2
    assert given['predictions'][1].shape == (40, 64)
    # A batch may have images of different sizes.
    batch = inferencer([image, image[:40], image], batch_size=3)
    for depth, other in zip(batch['predictions'],
                            [*given['predictions'], given['predictions'][0]]):
        assert np.abs(depth - other).max() < 1e-3
    inferencer(image, out_dir=str(tmp_path / 'array'))
    assert len(list((tmp_path / 'array' / 'pred').iterdir())) == 3
    for wrong in ('nowhere.jpg', tmp_path / 'nowhere'):
        with pytest.raises(UserError, match='no image .*nowhere'):
            inferencer(wrong)
    (tmp_path / 'text.jpg').write_text('no picture')
    with pytest.raises(UserError, match='text.jpg'):
        inferencer(tmp_path / 'text.jpg')
    with pytest.raises(UserError, match=r'\(height, width, 3\)'):
        inferencer(np.zeros((4, 4)))


@pytest.mark.parametrize('max_depth,scale', [(80., 256), (300., 100)])
def test_depth_beyond_65_metres_fits_16_bits(trained, tmp_path, max_depth,
                                             scale):
    config, checkpoint = trained
    config = Config(config.to_dict())
    config.model.decode_head.max_depth = max_depth
    inferencer = DepthInferencer(
        config, checkpoint, device='cpu', show_progress=False)
    assert inferencer.png_scale == scale
    depth = inferencer(
        np.zeros((64, 64, 3), np.uint8), out_dir=str(tmp_path))['predictions']
    written, = (tmp_path / 'pred').iterdir()
    written = cv2.imread(str(written), cv2.IMREAD_UNCHANGED)
    assert np.abs(written / scale - depth).max() < .51 / scale


def test_the_command_writes_depth_and_says_where(data_root, trained, tmp_path,
                                                 monkeypatch, capsys):
    config, checkpoint = trained
    config.dump(tmp_path / 'config.py')
    images = [str(data_root / 'images' / 'val')]

    def run(*arguments):
        monkeypatch.setattr(
            sys, 'argv',
            ['depth_inference.py', *arguments, '--out',
             str(tmp_path / 'out')])  # yapf: disable
        runpy.run_path(
            str(ROOT / 'tools' / 'depth_inference.py'), run_name='__main__')

    run(str(tmp_path / 'config.py'), checkpoint, *images)
    assert '2 depth maps' in capsys.readouterr().out
    for kind in ('pred', 'vis'):
        names = [path.name for path in (tmp_path / 'out' / kind).iterdir()]
        assert sorted(names) == ['000000.png', '000001.png']
    with pytest.raises(SystemExit, match='2 images are called 000000'):
        run(str(tmp_path / 'config.py'), checkpoint, *images, *images)
    with pytest.raises(SystemExit, match='there is no config elsewhere.py'):
        run('elsewhere.py', checkpoint, *images)
