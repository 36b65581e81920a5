import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.visualization import Visualizer
from PIL import Image

from glid_mm.errors import UserError
from glid_mm.registry import HOOKS
from glid_mm.tasks.pretraining import ReconstructionHook, reconstruction_panel
from glid_mm.visualization import find_images, load_images
from glid_mm.visualization.panels import GAP
from tests.nano import pretrainer

MEAN = [123.675, 116.28, 103.53]


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return pretrainer(
        mask_ratio=.5,
        data_preprocessor=dict(
            mean=MEAN, std=[58.395, 57.12, 57.375], to_rgb=True))


@pytest.fixture
def folder(tmp_path):
    """Three images of different sizes and modes."""
    rng = np.random.default_rng(0)
    (tmp_path / 'images').mkdir()
    for index, shape in enumerate([(80, 100, 3), (64, 64, 3), (120, 70)]):
        image = Image.fromarray(rng.integers(0, 256, shape, np.uint8))
        image.save(tmp_path / 'images' / f'{index}.png')
    return tmp_path / 'images'


def cells(panel, rows, size):
    """The images of a panel, row by row."""
    step = size + GAP
    columns = (panel.shape[1] + GAP) // step
    return [[
        panel[r * step:r * step + size, c * step:c * step + size]
        for c in range(columns)
    ] for r in range(rows)]


def test_panel_shows_what_the_model_saw_and_nothing_else(model):
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    visible = torch.tensor([[0, 3], [1, 2]])
    panel = reconstruction_panel(model, images, visible)
    inputs, masked, answers = cells(panel, 3, 64)
    for b in range(2):
        picture = images[b].flip(0).permute(1, 2, 0).numpy()
        assert np.array_equal(inputs[b], picture)
        for unit in range(4):
            part = np.s_[unit // 2 * 32:unit // 2 * 32 + 32,
                         unit % 2 * 32:unit % 2 * 32 + 32]
            if unit in visible[b]:
                assert np.array_equal(masked[b][part], picture[part])
                assert np.array_equal(answers[b][part], picture[part])
            else:
                assert (masked[b][part] == np.round(MEAN)).all()
                assert answers[b][part].std() > 0
                assert (answers[b][part] != picture[part]).mean() > .9


def test_panel_leaves_the_model_as_it_is(model):
    images = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    for mode in (True, False):
        model.train(mode)
        reconstruction_panel(model, images, torch.tensor([[0]]))
        assert model.training is mode
        assert all(p.grad is None for p in model.parameters())


def test_images_are_cropped_from_the_middle_without_chance(folder):
    paths = find_images([folder])
    images = load_images(paths, (64, 32))
    assert images.shape == (3, 3, 64, 32)
    assert torch.equal(images, load_images(paths, (64, 32)))
    middle = np.array(Image.open(paths[1]))[:, 16:48, ::-1]
    assert np.array_equal(images[1].permute(1, 2, 0).numpy(), middle)


@pytest.mark.parametrize('make, words', [
    (lambda path: path / 'no.png', 'there is no image'),
    (lambda path: path, 'no images in the folder'),
])
def test_missing_images_are_named(tmp_path, make, words):
    with pytest.raises(UserError, match=words):
        find_images([make(tmp_path)])


def test_damaged_image_is_named(tmp_path):
    path = tmp_path / 'torn.jpg'
    path.write_bytes(b'\xff\xd8\xff')
    with pytest.raises(UserError, match='torn.jpg'):
        load_images([path], (32, 32))


class Images:
    """A data set with only what the hook needs."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def get_data_info(self, index):
        return dict(img_path=str(self.paths[index]))


def states():
    return (random.getstate(), str(np.random.get_state()),
            torch.get_rng_state().tolist())


def train(hook, model, dataset, out, iterations, start=0):
    """Call a hook as a runner does; return the steps of its images."""
    runner = SimpleNamespace(
        model=model,
        iter=start,
        visualizer=Visualizer(
            vis_backends=[dict(type='LocalVisBackend')], save_dir=str(out)),
        train_dataloader=SimpleNamespace(dataset=dataset))
    images = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    batch = dict(inputs=images, data_samples=None)
    for index in range(iterations):
        hook.before_train_iter(runner, index, batch)
        hook.after_train_iter(runner, index, batch)
        runner.iter += 1
    hook.after_train(runner)
    return {
        int(path.stem.split('_')[1])
        for path in (out / 'vis_data' / 'vis_image').glob('*.png')
    }


@pytest.mark.parametrize('start, iterations, steps', [
    (0, 5, {0, 2, 4, 5}),
    (0, 4, {0, 2, 4}),
    (3, 2, {4, 5}),
    (3, 0, set()),
])
def test_hook_draws_at_its_iterations(model, folder, tmp_path, start,
                                      iterations, steps):
    hook = HOOKS.build(
        dict(type='glid_mm.ReconstructionHook', interval=2, num_images=2))
    dataset = Images(find_images([folder]))
    assert train(hook, model, dataset, tmp_path, iterations, start) == steps


def test_panels_differ_in_what_the_model_makes_of_them_only(
        model, folder, tmp_path):
    dataset = Images(find_images([folder]))
    panels = []
    for run, images in enumerate([None, str(folder)]):
        torch.manual_seed(run)
        out = tmp_path / str(run)
        before = states()
        hook = ReconstructionHook(interval=9, num_images=3, images=images)
        train(hook, model, dataset, out, 1)
        # Images and masks do not use the training's random numbers.
        assert states() == before
        panels += [
            np.array(
                Image.open(out /
                           f'vis_data/vis_image/reconstruction_{step}.png'))
            for step in (0, 1)
        ]
    assert all(np.array_equal(panel, panels[0]) for panel in panels)
    assert len(cells(panels[0], 3, 64)[0]) == 3


def test_hook_says_how_to_name_images(model, tmp_path):
    with pytest.raises(UserError, match='default_hooks.reconstruction.images'):
        train(ReconstructionHook(), model, [None], tmp_path, 1)


def test_other_processes_do_not_prepare_pictures(monkeypatch):
    module = 'glid_mm.tasks.pretraining.reconstruction_hook.is_main_process'
    monkeypatch.setattr(module, lambda: False)
    # There is no model to prepare a batch.
    ReconstructionHook().before_train_iter(SimpleNamespace(), 0, {})


@pytest.mark.parametrize('name', ['interval', 'num_images'])
def test_hook_refuses_nothing_to_do(name):
    with pytest.raises(ValueError, match=name):
        ReconstructionHook(**{name: 0})


def test_hook_draws_the_first_images_that_are_not_damaged(
        model, folder, tmp_path):
    paths = find_images([folder])
    torn = tmp_path / 'torn.jpg'
    torn.write_bytes(b'')
    hook = ReconstructionHook(interval=1, num_images=2)
    train(hook, model, Images([torn, *paths]), tmp_path / 'out', 1)
    assert torch.equal(hook.images, load_images(paths[:2], (64, 64)))
