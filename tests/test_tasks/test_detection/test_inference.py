"""Evaluation and inference with a trained detector."""
import copy
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from glid_mm.errors import UserError
from glid_mm.scenes import render_scene
from glid_mm.tasks.detection import DetInferencer
from .build import run, small_run


@pytest.fixture(scope='module')
def trained(data_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp('trained')
    config = small_run(data_root, folder)
    run(config).train()
    return config, str(folder / 'iter_1.pth')


def test_mmdets_evaluation_and_inferencer_take_a_trained_model(
        data_root, trained, tmp_path):
    from mmdet import apis
    config, checkpoint = copy.deepcopy(trained)
    config.load_from = checkpoint
    config.work_dir = str(tmp_path / 'test')
    metrics = run(config).test()
    assert 0 <= metrics['coco/bbox_mAP_50'] <= 1
    inferencer = apis.DetInferencer(
        config, checkpoint, device='cpu', show_progress=False)
    image = str(data_root / 'images' / 'val' / '000000.jpg')
    answer = inferencer([image],
                        out_dir=str(tmp_path / 'out'),
                        pred_score_thr=0.)
    found, = answer['predictions']
    assert len(found['bboxes']) == len(found['labels']) == 20
    assert (tmp_path / 'out' / 'vis' / '000000.jpg').exists()
    inferencer(
        cv2.imread(image), out_dir=str(tmp_path / 'out'), no_save_pred=False)
    assert (tmp_path / 'out' / 'preds' / '0.json').exists()


def test_inferencer_takes_files_folders_and_arrays(trained, tmp_path):
    config, checkpoint = copy.deepcopy(trained)
    inferencer = DetInferencer(
        config, checkpoint, device='cpu', show_progress=False)
    folder = tmp_path / 'images'
    (folder / 'more').mkdir(parents=True)
    for name, size in {'a.png': (64, 64), 'more/b.png': (48, 80)}.items():
        Image.fromarray(render_scene(0, 'val', 0,
                                     size).image).save(folder / name)
    (folder / 'notes.txt').write_text('no image')
    options = dict(
        out_dir=str(tmp_path / 'out'), no_save_pred=False, return_vis=True)
    files = inferencer(folder, **options)
    assert len(files['predictions']) == 2
    # BGR arrays, as OpenCV reads them, give the same boxes and drawings.
    arrays = [cv2.imread(str(folder / n)) for n in ('a.png', 'more/b.png')]
    given = inferencer(arrays, **options)
    assert given['predictions'] == files['predictions']
    for one, other in zip(given['visualization'], files['visualization']):
        assert np.array_equal(one, other)
    reverse = inferencer(np.ascontiguousarray(arrays[0][..., ::-1]))
    assert reverse['predictions'][0] != files['predictions'][0]
    inferencer(arrays[0], **options)
    written = {
        str(path.relative_to(tmp_path / 'out'))
        for path in (tmp_path / 'out').rglob('*.*')
    }
    assert written == {
        f'{kind}/{name}.{suffix}'
        for kind, suffix, names in (('preds', 'json', 'ab'),
                                    ('vis', 'png', 'ab'))
        for name in names
    } | {
        f'{kind}/0000000{number}.{suffix}'
        for kind, suffix in (('preds', 'json'), ('vis', 'jpg'))
        for number in (0, 1, 3)
    }
    saved = json.loads((tmp_path / 'out/preds/00000000.json').read_text())
    assert saved == files['predictions'][0]
    # A batch may have images of different sizes.
    batch = inferencer(folder, batch_size=2)['predictions']
    for one, other in zip(batch, files['predictions']):
        assert np.allclose(one['scores'], other['scores'], atol=1e-4)
        assert np.allclose(one['bboxes'], other['bboxes'], atol=.05)
    with pytest.raises(UserError, match='2 images are called a'):
        inferencer([folder, folder / 'a.png'], out_dir=str(tmp_path))
    (folder / 'torn.jpg').write_bytes(b'torn')
    with pytest.raises(UserError, match='torn.jpg: it is not an image'):
        inferencer(folder)
