import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from PIL import Image

import glid_mm.tasks.depth  # noqa: F401
import glid_mm.tasks.detection  # noqa: F401
import glid_mm.tasks.pose  # noqa: F401
import glid_mm.tasks.segmentation  # noqa: F401
from glid_mm.errors import UserError
from glid_mm.scenes import write_scenes

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
TASKS = dict(
    segmentation='glid_nano_1xb16-2k_scenes-128x128.py',
    detection='glid_nano_1xb16-7k_scenes-128x128.py',
    depth='glid_nano_1xb16-14k_scenes-depth-128x128.py',
    pose='glid_nano_1xb16-16k_scenes-128x96.py')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'scenes'
    write_scenes(root, train=30, val=1, unlabelled=0, size=32, seed=0)
    return root


def config_of(task, data):
    config = Config.fromfile(CONFIGS / task / TASKS[task])
    init_default_scope(config.default_scope)
    return dict(config.train_dataloader.dataset, data_root=str(data))


def images(dataset):
    return {
        Path(dataset.get_data_info(i)['img_path']).stem
        for i in range(len(dataset))
    }


def part(task, data, fraction, **kwargs):
    return DATASETS.build(
        dict(
            type='glid_mm.Fraction',
            fraction=fraction,
            dataset=config_of(task, data),
            **kwargs))


def test_fractions_are_nested_and_follow_the_seed(data):
    tenth, third = (images(part('detection', data, f)) for f in (.1, .34))
    assert len(tenth) == 3 and len(third) == 11 and tenth < third
    assert images(part('detection', data, .1)) == tenth
    assert images(part('detection', data, .1, seed=1)) != tenth
    assert len(images(part('detection', data, 1))) == 30


def test_a_number_of_images_is_that_many_of_the_same_order(data):
    assert images(part('detection', data,
                       11)) == images(part('detection', data, .34))


def test_tasks_share_their_images(data):
    assert images(part('detection', data,
                       .2)) == images(part('segmentation', data, .2))


def test_all_persons_of_an_image_are_kept(data):
    whole = DATASETS.build(config_of('pose', data))
    some = part('pose', data, .5)
    names = images(some)
    assert 0 < len(names) < len(images(whole))
    of_these = [
        i for i in range(len(whole))
        if Path(whole.get_data_info(i)['img_path']).stem in names
    ]
    assert len(some) == len(of_these)


def classes(dataset):
    shown = set()
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        if 'instances' in info:
            shown |= {one['bbox_label'] for one in info['instances']}
        else:
            shown |= set(np.unique(Image.open(info['seg_map_path'])).tolist())
    return shown


@pytest.mark.parametrize('task', ['detection', 'segmentation'])
def test_few_images_show_all_classes(task, data):
    every = classes(part(task, data, 1))
    poor = [
        seed for seed in range(3)
        if classes(part(task, data, .1, seed=seed)) < every
    ]
    assert poor
    for seed in poor[:1]:
        rich = part(task, data, .1, seed=seed, cover_classes=True)
        assert len(images(rich)) == 3
        assert classes(rich) == every


def test_only_what_teaches_a_class_covers_it(data, tmp_path):
    root = tmp_path / 'scenes'
    shutil.copytree(data, root)
    # A class that only one image has, and only as crowds.
    file = root / 'annotations' / 'instances_train.json'
    coco = json.loads(file.read_text())
    first, second, *_ = (one['id'] for one in coco['categories'])
    alone = coco['annotations'][0]['image_id']
    for row in coco['annotations']:
        crowd = row['image_id'] == alone
        row.update(category_id=second if crowd else first, iscrowd=int(crowd))
    file.write_text(json.dumps(coco))
    assert len(part('detection', root, 1 / 30, cover_classes=True)) == 1
    # Unlabelled pixels are no class, whether they are 255 or 0.
    for index, path in enumerate(
            sorted((root / 'semantic_train').glob('*.png'))):
        Image.fromarray(np.full((32, 32), 255 * (index == 5), 'u1')).save(path)
    assert len(part('segmentation', root, 1 / 30, cover_classes=True)) == 1


def test_too_few_images_for_all_classes_are_refused(data):
    with pytest.raises(UserError, match='are 1, .* all classes takes [23]'):
        part('segmentation', data, 1 / 30, cover_classes=True)


def test_depth_has_no_classes_to_cover(data):
    with pytest.raises(UserError, match='neither a label map nor'):
        part('depth', data, .1, cover_classes=True)


def test_what_cannot_be_is_refused(data):
    for fraction in (0, 1.5, float('nan'), float('inf')):
        with pytest.raises(UserError, match=r'neither a share in \(0, 1\]'):
            part('detection', data, fraction)
    with pytest.raises(UserError, match='31 images are more than the 30'):
        part('detection', data, 31)


def test_the_log_names_the_fraction(data, monkeypatch):
    lines = []
    monkeypatch.setattr('glid_mm.datasets.fraction.print_log',
                        lambda text, *_: lines.append(text))
    part('segmentation', data, .1, seed=3)
    assert 'seed 3: 3 of 30 images' in lines[0] and 'digest' in lines[0]
