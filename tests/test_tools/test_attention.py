"""The command-line tool for attention maps."""
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from PIL import Image

from glid_mm.scenes import write_scenes
from .test_tools import PRETRAIN, ROOT, run, told

TOOL = 'analysis_tools/visualize_attention.py'
DETECTION = ROOT / 'configs/detection/glid_nano_1xb16-7k_scenes-128x128.py'


def save(path, folder):
    config = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        model = MODELS.build(config.model)
    name = folder / f'{config.default_scope}.pth'
    torch.save(dict(state_dict=model.state_dict()), name)
    return name


@pytest.mark.slow
def test_pictures_are_of_pre_training_and_of_tasks(tmp_path, monkeypatch,
                                                   capsys, one_thread):
    write_scenes(tmp_path / 'scenes', 2, 2, 0, 64, seed=0)
    root = f'dataset.data_root={tmp_path / "scenes"}'
    pretraining, task = (save(c, tmp_path) for c in (PRETRAIN, DETECTION))
    run(monkeypatch, TOOL, PRETRAIN, pretraining, '--all', '--num-images', 2,
        '--size', 64, '--out', tmp_path / 'one', '--cfg-options',
        f'train_dataloader.{root}',
        'train_dataloader.dataset.data_prefix=images/train')
    assert 'stride 8: attention is ' in capsys.readouterr().out
    test = '--cfg-options', f'test_dataloader.{root}'
    run(monkeypatch, TOOL, DETECTION, task, '--queries', 0, 30, '--num-images',
        1, '--out', tmp_path / 'two', *test)
    heights = []
    for folder, count in (('one', 2), ('two', 1)):
        pictures = sorted((tmp_path / folder).iterdir())
        assert len(pictures) == count
        heights.append(Image.open(pictures[0]).height)
    # Two masked units and [CLS]; two queries.
    assert heights == [20 + 3 * (192 + 4) - 4, 20 + 2 * (256 + 4) - 4]
    assert 'from 0 to 35' in told(monkeypatch, TOOL, DETECTION, task,
                                  '--queries', 99, *test)
    assert 'Use the config that the checkpoint was trained with' in told(
        monkeypatch, TOOL, DETECTION, pretraining, *test)
