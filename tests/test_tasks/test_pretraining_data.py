"""The data pipeline of pre-training.

Also a program: ``python -m tests.test_tasks.test_pretraining_data '{…}'``
trains with the arguments of :func:`train`.
"""
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import MODELS, RUNNERS, init_default_scope
from PIL import Image

from glid_mm.datasets.folders import list_images
from glid_mm.datasets.shard_writer import write_shards
from glid_mm.scenes import render_scene
from ..test_engine.tiny import assert_same, weights

pytest.importorskip('mmpretrain')

ROOT = Path(__file__).parents[2]
PRETRAIN = ROOT / 'configs/pretrain/glid_nano_1xb32-coslr-30e_scenes-128px.py'
OURS = dict(
    type='glid_mm.LoadRandomResizedCrop',
    scale=64,
    crop_ratio_range=(.2, 1.),
    flip_prob=.5)
PACK = dict(type='PackInputs', algorithm_keys=('crop', ))


def pipeline(*transforms):
    import glid_mm.tasks.pretraining  # noqa: F401
    init_default_scope('mmpretrain')
    return Compose(list(transforms))


def hosts(interpolation='bicubic'):
    """mmpretrain's transforms that ours replaces."""
    return pipeline(
        dict(type='LoadImageFromFile', imdecode_backend='pillow'),
        dict(
            type='RandomResizedCrop',
            scale=64,
            crop_ratio_range=(.2, 1.),
            backend='pillow',
            interpolation=interpolation), dict(type='RandomFlip', prob=.5))


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Photos too small for decoding at reduced scale for 64 pixels."""
    folder = tmp_path_factory.mktemp('photos')
    for i, size in enumerate([(90, 120), (127, 70), (40, 300), (64, 64)] * 4):
        path = folder / f'{i:02d}.{"png" if i % 3 else "jpg"}'
        Image.fromarray(render_scene(0, 'train', i, size).image).save(path)
    return folder


@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic'])
def test_same_random_numbers_same_image(photos, interpolation):
    theirs, ours = hosts(interpolation), pipeline(
        dict(OURS, interpolation=interpolation))
    flips = set()
    for seed, path in enumerate(sorted(photos.iterdir()) * 2):
        results = []
        for load in (theirs, ours):
            np.random.seed(seed)
            results.append(load(dict(img_path=str(path))))
            # Both draw the same number of random values.
            results[-1]['next'] = np.random.rand()
        one, two = results
        for key in ('ori_shape', 'flip', 'next'):
            assert one[key] == two[key]
        difference = np.abs(one['img'].astype(int) - two['img'])
        assert difference.max() <= 2 and difference.mean() < .05
        flips.add(two['flip'])
    assert flips == {False, True}


def test_reduced_decoding_keeps_crops(tmp_path):
    """Crops of a large photo differ only in its finest detail."""
    path = tmp_path / 'large.jpg'
    image = Image.fromarray(render_scene(0, 'train', 0, (480, 640)).image)
    image.save(path, quality=95)
    theirs, ours = hosts(), pipeline(OURS)
    for seed in range(10):
        images = []
        for load in (theirs, ours):
            np.random.seed(seed)
            images.append(load(dict(img_path=str(path)))['img'].astype(float))
        error = (images[0] - images[1])**2
        assert 0 < error.max() and 10 * np.log10(255**2 / error.mean()) > 33


@pytest.mark.parametrize('canvas', [400, 50])
def test_device_makes_what_workers_make(photos, canvas, tmp_path):
    path = tmp_path / 'large.jpg'
    Image.fromarray(render_scene(0, 'train', 0, (480, 640)).image).save(path)
    paths = sorted(photos.iterdir()) + [path] * 4
    batches = []
    for load in (OURS, dict(OURS, canvas=canvas)):
        load = pipeline(load, PACK)
        samples = []
        for seed, path in enumerate(paths):
            np.random.seed(seed)
            samples.append(load(dict(img_path=str(path))))
        batches.append(
            dict(
                inputs=torch.stack([s['inputs'] for s in samples]),
                data_samples=[s['data_samples'] for s in samples]))
    assert batches[1]['inputs'].shape[1:] == (canvas, canvas, 3)
    preprocessor = MODELS.build(
        dict(
            type='glid_mm.CropPreprocessor',
            mean=[120., 110., 100.],
            std=[60., 50., 40.],
            to_rgb=True))
    host = MODELS.build(
        dict(
            type='SelfSupDataPreprocessor',
            mean=[120., 110., 100.],
            std=[60., 50., 40.],
            to_rgb=True))
    expected = host(batches[0], True)['inputs']
    assert torch.equal(preprocessor(batches[0], True)['inputs'], expected)
    with torch.autocast('cpu', torch.bfloat16):
        inputs = preprocessor(batches[1], True)['inputs']
    assert inputs.dtype == torch.float32
    # In grey levels out of 255. Crops above the canvas size are resized twice.
    difference = (inputs - expected).abs() * 50
    sizes = [s.crop.size for s in batches[1]['data_samples']]
    for size, error in zip(sizes, difference):
        if canvas == 400:
            assert error.max() < 4 and error.mean() < .6
        else:
            assert max(size) <= 50 and error.mean() < 12


def train(work_dir, data_root, workers, canvas=None, kill=None, resume=False):
    """Pre-train a nano model for 8 iterations; return the whole state."""
    torch.set_num_threads(1)
    config = Config.fromfile(PRETRAIN)
    config.merge_from_dict({
        'work_dir': str(work_dir),
        'experiment_name': Path(work_dir).name,
        'log_level': 'WARNING',
        'resume': resume,
        'train_cfg.max_epochs': 2,
        'param_scheduler': None,
        'default_hooks.checkpoint.interval': 2,
        'default_hooks.checkpoint.by_epoch': False,
        'default_hooks.reconstruction.interval': 100,
        'train_dataloader.batch_size': 4,
        'train_dataloader.num_workers': workers,
        'train_dataloader.persistent_workers': workers > 0,
        'train_dataloader.dataset.data_root': str(data_root),
        'train_dataloader.dataset.data_prefix': '',
        'train_dataloader.dataset.pipeline.0.scale': 64,
        'train_dataloader.dataset.pipeline.0.canvas': canvas,
        'custom_hooks': [dict(type='KillHook', after=kill)],
    })
    runner = RUNNERS.build(config)
    runner.train()
    return weights(runner)


@pytest.mark.slow
@pytest.mark.parametrize('workers,canvas', [(0, 86), (2, None)])
def test_killed_run_from_shards_ends_with_the_same_weights(
        photos, tmp_path, workers, canvas, one_thread):
    write_shards(
        photos,
        list_images(photos),
        tmp_path / 'shards',
        shorter_side=64,
        images_per_shard=5)
    options = dict(
        data_root=str(tmp_path / 'shards'), workers=workers, canvas=canvas)
    killed = subprocess.Popen([
        sys.executable, '-m', __name__,
        json.dumps(dict(options, work_dir=str(tmp_path / 'cut'), kill=7))
    ],
                              cwd=ROOT,
                              env=dict(
                                  os.environ,
                                  OMP_NUM_THREADS='1',
                                  PYTHONPATH=str(ROOT)),
                              stderr=subprocess.PIPE,
                              text=True)
    whole = train(tmp_path / 'whole', **options)
    _, errors = killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL, errors
    # The last checkpoint is from iteration 6, in the middle of an epoch.
    assert not (tmp_path / 'cut' / 'iter_8.pth').exists()
    cut = train(tmp_path / 'cut', resume=True, **options)
    assert whole['iter'] == 8
    assert_same(whole, cut)


if __name__ == '__main__':
    train(**json.loads(sys.argv[1]))
