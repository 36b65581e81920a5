"""Training, evaluation and inference with the Scenes configs."""
import json

import cv2
import pytest
from mmengine.registry import RUNNERS

from .build import SCENES, config_of


@pytest.mark.slow
@pytest.mark.parametrize('kind', SCENES)
def test_a_trained_model_is_evaluated_drawn_and_asked(kind, data_root,
                                                      tmp_path):
    from glid_mm.tasks.detection import DetInferencer
    config = config_of(kind, data_root, tmp_path / 'run')
    config.default_hooks.checkpoint.interval = 1
    config.default_hooks.visualization.update(
        draw=True, test_out_dir='pictures')
    runner = RUNNERS.build(config)
    runner.train()
    name = 'coco_panoptic/PQ' if kind == 'panoptic' else 'coco/segm_mAP_50'
    metrics = runner.test()
    assert 0 <= metrics[name] <= 100
    assert len(list((tmp_path / 'run').rglob('pictures/*.jpg'))) == 2
    checkpoint, = (tmp_path / 'run').glob('iter_1.pth')
    inferencer = DetInferencer(
        config, str(checkpoint), device='cpu', show_progress=False)
    image = str(data_root / 'images/val/000000.jpg')
    inferencer(image, out_dir=str(tmp_path / 'out'), no_save_pred=False)
    assert (tmp_path / 'out/vis/000000.jpg').exists()
    saved = json.loads((tmp_path / 'out/preds/000000.json').read_text())
    if kind == 'instance':
        assert len(saved['masks']) == len(saved['scores']) == 100
    else:
        png = cv2.imread(saved['panoptic_seg_path'])
        assert png.shape == (64, 64, 3)
