from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from glid_mm.datasets.loading import load_image
from glid_mm.errors import UserError
from glid_mm.scenes import PALETTE, write_scenes
from glid_mm.visualization import PredictionHook, draw_predictions
from glid_mm.visualization.predictions import Painter, _titles

CONFIG = 'configs/segmentation/glid_nano_1xb16-2k_scenes-128x128.py'


@pytest.fixture
def config(pytestconfig, tmp_path):
    write_scenes(tmp_path / 'scenes', 0, 3, 0, 64, seed=0)
    config = Config.fromfile(pytestconfig.rootpath / CONFIG)
    config.test_dataloader.dataset.data_root = str(tmp_path / 'scenes')
    # Draw labels opaque.
    config.visualizer.alpha = 1.
    # Restore the scope for other tests.
    with DefaultScope.overwrite_default_scope(config.default_scope):
        yield config


def test_every_painter_has_its_own_settings(config):
    images = [np.zeros((8, 8, 3), np.uint8)] * 2
    meta = dict(classes=('a', ), palette=[[200, 100, 50]])
    sample = SegDataSample(
        gt_sem_seg=PixelData(data=torch.zeros(1, 8, 8, dtype=torch.long)))
    drawn = [
        Painter(
            dict(config.visualizer, alpha=alpha), meta,
            dict(with_labels=False))(image, sample, truth=True).max()
        for image, alpha in zip(images, (.5, 1.))
    ]
    assert drawn == [100, 200]


@pytest.mark.parametrize('task', ['', 'seg'])
def test_a_validation_shows_its_first_pictures(task, config, tmp_path):
    hook = PredictionHook(2, {'seg': config.visualizer} if task else None)
    meta = dict(classes=('a', 'b'), palette=[[200, 100, 50], [0, 0, 250]])
    samples = []
    for i in range(3):
        path = tmp_path / 'scenes' / 'images' / 'val' / f'00000{i}.jpg'
        samples.append(
            SegDataSample(
                metainfo=dict(img_path=str(path)),
                gt_sem_seg=PixelData(
                    data=torch.zeros(1, 64, 64, dtype=torch.long)),
                pred_sem_seg=PixelData(
                    data=torch.ones(1, 64, 64, dtype=torch.long))))
    shown = []
    runner = SimpleNamespace(
        iter=7,
        cfg=config,
        visualizer=SimpleNamespace(add_image=lambda *args: shown.append(args)),
        val_dataloader=SimpleNamespace(
            dataset=SimpleNamespace(metainfo={'seg': meta} if task else meta)))
    for _ in range(2):
        hook.before_val_epoch(runner)
        # Another task of the mixture, which is not drawn.
        for name, part in ((task, samples[:1]), (task, samples[1:]),
                           *[('other', samples)] * bool(task)):
            hook.after_val_iter(runner, 0, {name: None}, part)
        hook.after_val_epoch(runner)
    assert [entry[::2] for entry in shown
            ] == [(f'{task}_predictions' if task else 'predictions', 7)] * 2
    assert np.array_equal(shown[0][1], shown[1][1])
    # Below the titles, two rows with image, labels and prediction.
    rows = shown[0][1][20:].reshape(-1, 200, 3)
    for i, row in enumerate((rows[:64], rows[68:])):
        picture = np.array(load_image(samples[i].img_path))
        assert np.array_equal(row[:, :64], picture)
        for column, colour in enumerate(meta['palette'], 1):
            cell = row[:, 68 * column:][:, :64]
            assert (cell == colour).all(-1).mean() > .8  # the rest is text


@pytest.mark.slow
def test_columns_are_image_truth_and_each_model(config, tmp_path):
    model = MODELS.build(config.model)
    paths = []
    for label in (2, 5):
        # A model that predicts one class everywhere.
        with torch.no_grad():
            model.decode_head.cls_embed.bias.zero_()[label] = 1e3
        paths.append(str(tmp_path / f'{label}.pth'))
        torch.save(dict(state_dict=model.state_dict()), paths[-1])
    titles, rows = draw_predictions(
        config,
        paths, ['one', 'other'],
        num_images=2,
        draw_options=dict(with_labels=False))
    # The first and the second of three images.
    assert titles == ['image', 'ground truth', 'one', 'other']
    assert len(rows) == 2
    for row, (image, truth, one, other) in enumerate(rows):
        assert np.array_equal(
            image,
            np.array(
                load_image(tmp_path / f'scenes/images/val/00000{row}.jpg')))
        labels = np.array(
            load_image(tmp_path / f'scenes/semantic_val/00000{row}.png'))[...,
                                                                          0]
        # Some versions of matplotlib repeat a column or row when drawing.
        same = (truth == np.array(PALETTE)[labels]).all(-1)
        assert same.mean() > .9
        assert (one == PALETTE[2]).all() and (other == PALETTE[5]).all()


def test_config_without_test_data_is_refused(config):
    config.test_dataloader = None
    with pytest.raises(UserError, match='test_dataloader'):
        draw_predictions(config, [])


@pytest.mark.slow
def test_a_task_of_a_mixture_is_drawn_as_the_task_alone(config, tmp_path):
    single = MODELS.build(config.model)
    weights = single.state_dict()
    torch.save(dict(state_dict=weights), tmp_path / 'single.pth')
    mixture = {
        name if name.startswith('backbone.') else f'tasks.seg.{name}': value
        for name, value in weights.items()
    }
    mixture['tasks.seg.backbone.rows'] = torch.tensor([0, 20])
    torch.save(dict(state_dict=mixture), tmp_path / 'mixture.pth')
    rows = draw_predictions(
        config,
        [str(tmp_path / f'{name}.pth') for name in ('single', 'mixture')],
        num_images=1).rows
    assert np.array_equal(rows[0][2], rows[0][3])


def test_weights_without_the_head_are_not_drawn(config, tmp_path):
    weights = {
        name: value
        for name, value in MODELS.build(config.model).state_dict().items()
        if name.startswith('backbone.')
    }
    path = str(tmp_path / 'pretrained.pth')
    torch.save(dict(state_dict=weights), path)
    with pytest.raises(UserError, match='would stay random.*decode_head'):
        draw_predictions(config, [path], num_images=1)


def test_titles_tell_checkpoints_apart():
    assert _titles(['a/epoch_1.pth', 'b/epoch_1.pth']) == ['a', 'b']
    assert _titles(['a/epoch_1.pth',
                    'a/epoch_2.pth']) == ['a epoch_1', 'a epoch_2']
    config = Config(dict(test_dataloader=dict()))
    with pytest.raises(UserError, match='titles repeat: a, a'):
        draw_predictions(config, ['a.pth', 'b.pth'], ['a', 'a'])
