"""Training and evaluation with the Scenes config."""
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import RUNNERS

from glid_mm.errors import UserError
from .build import small_run


def test_a_trained_model_is_evaluated_and_drawn(data_root, trained, tmp_path):
    from glid_mm.engine.launch import show_predictions
    config, checkpoint = trained
    assert list(Path(checkpoint).parent.glob('best_rmse_iter_1.pth'))
    # mmengine would reuse a visualizer of the same name and its folder.
    config = small_run(data_root, tmp_path, **{
        'load_from': checkpoint,
        'visualizer.name': 'shown'
    })
    show_predictions(config, str(tmp_path / 'shown'))
    metrics = RUNNERS.build(config).test()
    assert 0 < metrics['abs_rel'] and 0 <= metrics['d1'] <= 1
    pictures = list((tmp_path / 'shown').rglob('*.png'))
    assert len(pictures) == 2
    # Ground truth, a gap, and the prediction.
    assert cv2.imread(str(pictures[0])).shape[1] == 2 * 64 + 4


def test_an_image_of_another_size_than_its_depth_is_named(data_root, tmp_path):
    (tmp_path / 'images').mkdir()
    for i in range(2):
        cv2.imwrite(
            str(tmp_path / 'images' / f'00000{i}.jpg'),
            np.zeros((32, 64, 3), np.uint8))
    config = small_run(
        data_root, tmp_path / 'run', **{
            'train_dataloader.dataset.data_prefix.img_path':
            str(tmp_path / 'images')
        })
    with pytest.raises(UserError, match='64×64 pixels.* is 32×64'):
        RUNNERS.build(config).train()
