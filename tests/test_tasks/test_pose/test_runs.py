"""Training and evaluation with the Scenes config."""
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, RUNNERS, DefaultScope

from glid_mm.errors import UserError
from glid_mm.scenes.classes import KEYPOINTS
from ...nano import pretrainer, short_run
from .build import SCENES, changed


def run(config):
    return RUNNERS.build(config)


@pytest.mark.slow
def test_a_model_trained_in_bf16_is_evaluated(data_root, tmp_path):
    config = short_run(SCENES, data_root, tmp_path / 'run')
    config.optim_wrapper.type = 'glid_mm.BF16OptimWrapper'
    run(config).train()
    config.load_from = str(tmp_path / 'run' / 'iter_1.pth')
    config.work_dir = str(tmp_path / 'test')
    assert 0 <= run(config).test()['coco/AP'] <= 1


@pytest.mark.slow
def test_evaluation_refuses_weights_that_are_not_all_there(
        data_root, tmp_path):
    path = tmp_path / 'weights.pth'

    def test(source, **changes):
        torch.save(source.state_dict(), path)
        config = short_run(SCENES, data_root, tmp_path / 'test', **changes)
        config.load_from = str(path)
        return run(config).test()

    with pytest.raises(UserError, match='3 weights of the model.*fine-tuned'):
        test(pretrainer())
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(Config.fromfile(SCENES).model)
    with pytest.raises(
            UserError,
            match=r'1 weights of the model .*embeddings \(\(17, 192\) there, '
            r'\(5, 192\) here\)'):
        test(model, **{'model.backbone.num_queries': 5})
    assert 'coco/AP' in test(model)


FIVE = """
dataset_info = dict(
    dataset_name='five',
    keypoint_info={{
        i: dict(name=name, id=i, swap=swap)
        for i, (name, swap) in enumerate({pairs})
    }},
    skeleton_info={{}},
    joint_weights=[1.] * 5,
    sigmas=[.05] * 5)
"""


@pytest.mark.slow
def test_other_keypoints_need_only_config_and_data(data_root, tmp_path):
    names = KEYPOINTS[:5]
    swaps = ['', *(names[i] for i in (2, 1, 4, 3))]
    (tmp_path / 'five.py').write_text(
        FIVE.format(pairs=list(zip(names, swaps))))

    def five(content):
        content['categories'][0]['keypoints'] = list(names)
        for annotation in content['annotations']:
            del annotation['keypoints'][15:]
            annotation['num_keypoints'] = sum(
                v > 0 for v in annotation['keypoints'][2::3])

    ann_file = changed(data_root, five, 'five.json')
    changes = {
        f'{split}_dataloader.dataset.{key}': value
        for split in ('train', 'val')
        for key, value in {
            'metainfo': dict(from_file=str(tmp_path / 'five.py')),
            'ann_file': ann_file,
            'data_prefix.img': 'images/val',
        }.items()
    }
    with pytest.raises(
            UserError,
            match='backbone.num_queries is 17, but the data set .* has 5 '
            'keypoints: nose, left_eye, right_eye, left_ear, right_ear. Set '
            'model.backbone.num_queries=5'):
        run(short_run(SCENES, data_root, tmp_path / 'refused',
                      **changes)).train()
    changes['model.backbone.num_queries'] = 5
    runner = run(short_run(SCENES, data_root, tmp_path / 'run', **changes))
    runner.train()
    assert runner.model.metainfo is None
    assert runner.val_dataloader.dataset[0]['data_samples'].flip_indices == [
        0, 2, 1, 4, 3
    ]
