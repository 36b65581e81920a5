"""The ADE20K converter, checked pixel by pixel with pycocotools and mmdet."""
import json

import cv2
import numpy as np
import pytest
from mmdet.datasets import ADE20KPanopticDataset
from mmdet.datasets.ade20k import ADE20KSegDataset
from mmdet.evaluation import INSTANCE_OFFSET
from mmengine.registry import DATASETS, init_default_scope
from pycocotools.coco import COCO

from .test_tools import run, told

TOOL = 'dataset_converters/ade20k.py'
LABELS = [name.strip() for name in ADE20KSegDataset.METAINFO['classes']]
# In the order of ADE20K's instance numbers.
THINGS = [
    i for i, name in enumerate(LABELS, 1)
    if name not in ('wall', 'building', 'sky', 'floor', 'tree', 'ceiling',
                    'road', 'grass', 'sidewalk', 'earth', 'mountain', 'plant',
                    'water', 'house', 'sea', 'rug', 'field', 'rock', 'base',
                    'sand', 'skyscraper', 'grandstand', 'path', 'runway',
                    'stairway', 'river', 'bridge', 'blind', 'hill', 'bar',
                    'hovel', 'tower', 'dirt track', 'land', 'escalator',
                    'buffet', 'poster', 'stage', 'conveyer belt', 'canopy',
                    'swimming pool', 'waterfall', 'tent', 'cradle', 'tank',
                    'lake', 'blanket', 'pier', 'crt screen', 'shower')
]


@pytest.fixture
def root(tmp_path):
    """Four images: stuff, things with and without instances, void."""
    rng = np.random.default_rng(0)
    assert len(THINGS) == 100
    for split in ('training', 'validation'):
        for kind in ('images', 'annotations', 'annotations_instance'):
            (tmp_path / kind / split).mkdir(parents=True)
        for index in range(2):
            semantic = rng.integers(0, 151, (3, 4)).astype(np.uint8)
            semantic[0, 0], semantic[0, 1] = 0, 13  # void, and persons
            semantic[0, 2], semantic[2, 3] = 1, 146
            semantic = semantic.repeat(8, 0).repeat(8, 1)
            instance = np.zeros((24, 32, 3), np.uint8)
            number = 0
            for label in np.unique(semantic):
                if label not in THINGS:
                    continue
                where = semantic == label
                # One or two objects, which may extend beyond the label.
                for part in (where & (np.indices((24, 32))[1] % 8 < 3),
                             np.roll(where, 3, 0) & (instance[..., 0] == 0)):
                    number += 1
                    instance[part] = (THINGS.index(label) + 1, number, 0)
            # Stuff completely behind an object does not appear.
            instance[semantic == 146] = (1, 250, 0)
            name = f'ADE_{split}_{index:08d}'
            image = rng.integers(0, 256, (24, 32, 3)).astype(np.uint8)
            for kind, suffix, pixels in (('images', 'jpg', image),
                                         ('annotations', 'png', semantic),
                                         ('annotations_instance', 'png',
                                          instance[..., ::-1])):
                cv2.imwrite(
                    str(tmp_path / kind / split / f'{name}.{suffix}'), pixels)
    return tmp_path


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def build(kind, root, split):
    __import__('glid_mm.tasks.panoptic')
    init_default_scope('mmdet')
    folder = dict(train='training', val='validation')[split]
    load = dict(
        Instance=dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
        Panoptic=dict(type='glid_mm.LoadPanopticMap'))[kind]
    pack = dict(
        Instance='PackDetInputs', Panoptic='glid_mm.PackPanopticInputs')[kind]
    return DATASETS.build(
        dict(
            type=f'glid_mm.ADE20K{kind}Dataset',
            data_root=str(root),
            ann_file=f'ade20k_{kind.lower()}_{split}.json',
            data_prefix=dict(
                img=f'images/{folder}', seg=f'ade20k_panoptic_{split}'),
            pipeline=[dict(type='LoadImageFromFile'), load,
                      dict(type=pack)]))


def truth(root, path):
    """Things as (class, mask), and the scene parsing map without them."""
    parts = path.parts[-2:]
    instance = read(root / 'annotations_instance' / parts[0] /
                    f'{path.stem}.png')[..., ::-1].astype(int)
    semantic = read(root / 'annotations' / parts[0] / f'{path.stem}.png')
    things = [(int(red) - 1, (instance == (red, green, 0)).all(-1))
              for red, green, _ in np.unique(instance.reshape(-1, 3), axis=0)
              if red]
    return things, np.where(instance[..., 0] > 0, 0, semantic)


def same(found, expected):
    """Whether both have the same labels and masks, in any order."""
    found, expected = (
        sorted((int(label), np.asarray(mask, bool).tobytes())
               for label, mask in pairs) for pairs in (found, expected))
    return found == expected


def test_masks_segments_and_ids_agree(root, monkeypatch, capsys):
    run(monkeypatch, TOOL, root, '--workers', 1)
    shown = capsys.readouterr().out
    assert 'train: 2 images' in shown and 'val: 2 images' in shown
    for split, folder in (('train', 'training'), ('val', 'validation')):
        images = sorted((root / 'images' / folder).iterdir())
        coco = COCO(str(root / f'ade20k_instance_{split}.json'))
        instances = build('Instance', root, split)
        panoptic = build('Panoptic', root, split)
        assert len(instances) == len(panoptic) == len(images) == 2
        assert panoptic.metainfo['thing_classes'] == \
            ADE20KPanopticDataset.METAINFO['thing_classes']
        assert panoptic.metainfo['stuff_classes'] == \
            ADE20KPanopticDataset.METAINFO['stuff_classes']
        for index, path in enumerate(images):
            things, semantic = truth(root, path)
            assert len(things) > 2
            # pycocotools
            rows = coco.loadAnns(coco.getAnnIds(imgIds=[index + 1]))
            masks = [coco.annToMask(row) for row in rows]
            assert same(
                zip([row['category_id'] - 1 for row in rows], masks), things)
            for row, mask in zip(rows, masks):
                assert row['area'] == mask.sum()
                assert row['bbox'] == list(cv2.boundingRect(mask))
                name = coco.cats[row['category_id']]['name']
                assert LABELS[THINGS[row['category_id'] - 1] - 1] == name
            # mmdet
            sample = instances[index]['data_samples'].gt_instances
            assert same(zip(sample.labels, sample.masks.masks), things)
            sample = panoptic[index]['data_samples']
            codes = sample.gt_panoptic_seg.sem_seg[0].numpy()
            found = [(code % INSTANCE_OFFSET, codes == code)
                     for code in np.unique(codes) if code != 150]
            stuff = [(label, semantic == label)
                     for label in np.unique(semantic)
                     if label and label not in THINGS]
            names = ADE20KPanopticDataset.METAINFO['classes']
            expected = things + [(next(
                i for i, name in enumerate(names)
                if i >= 100 and name.split(',')[0] == dict([
                    ('swimming pool', 'pool'), ('waterfall', 'falls')
                ]).get(LABELS[label - 1], LABELS[label - 1])), mask)
                                 for label, mask in stuff]
            assert same(found, expected)
            assert 146 not in [label for label, _ in stuff]


def test_areas_and_boxes_of_segments(root, monkeypatch):
    run(monkeypatch, TOOL, root, '--workers', 1)
    content = json.loads((root / 'ade20k_panoptic_val.json').read_text())
    for row in content['annotations']:
        png = read(root / 'ade20k_panoptic_val' / row['file_name'])[..., ::-1]
        ids = png.astype(int) @ [1, 256, 65536]
        listed = {segment['id'] for segment in row['segments_info']}
        assert listed == set(np.unique(ids).tolist()) - {0}
        for segment in row['segments_info']:
            mask = (ids == segment['id']).astype(np.uint8)
            assert segment['area'] == mask.sum()
            assert segment['bbox'] == list(cv2.boundingRect(mask))


def test_what_is_missing_or_wrong_is_named(root, monkeypatch):
    path = root / 'annotations_instance/validation/ADE_validation_00000001.png'
    pixels = read(path)
    pixels[0, 0, 2] = 101
    cv2.imwrite(str(path), pixels)
    message = told(monkeypatch, TOOL, root, '--workers', 1)
    assert 'ADE_validation_00000001.jpg: 101 in annotations_inst' in message
    cv2.imwrite(str(path), pixels[1:])
    message = told(monkeypatch, TOOL, root, '--workers', 1)
    assert '(24, 32), (24, 32) and (23, 32, 3)' in message
    path.unlink()
    assert str(path) in told(monkeypatch, TOOL, root, '--workers', 1)
    (root / 'annotations_instance').rename(root / 'elsewhere')
    message = told(monkeypatch, TOOL, root, '--workers', 1)
    assert f'there is no folder {root}/annotations_instance/train' in message
