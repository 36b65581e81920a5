"""Scenes in common data formats, and data sets built from settings."""
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs'
OWN = dict(
    detection='detection/glid_swin-b_8xb2-50e_custom.py',
    instance='instance/glid_swin-b_8xb2-40k_custom-instance-640x640.py',
    panoptic='panoptic/glid_swin-b_8xb2-40k_custom-panoptic-640x640.py',
    semantic='segmentation/glid_swin-b_8xb2-40k_custom-640x640.py',
    depth='depth/glid_swin-b_8xb2-38k_custom-416x544.py',
    pose='pose/glid_swin-b_8xb64-210e_custom-256x192.py',
    pretrain='pretrain/glid_swin-b_8xb256-amp-coslr-600e_in1k-192px.py')

HOSTS = dict(
    detection='mmdet',
    instance='mmdet',
    panoptic='mmdet',
    semantic='mmseg',
    depth='mmseg',
    pose='mmpose',
    pretrain='mmpretrain')


def built(task, settings):
    """The config of a task with settings, and its data sets by split.

    Loads the first sample of each data set and builds each metric.
    """
    pytest.importorskip(HOSTS[task])
    from mmengine.config import Config
    from mmengine.registry import DATASETS, init_default_scope
    from mmengine.utils import import_modules_from_strings

    from glid_mm.registry import METRICS
    config = Config.fromfile(CONFIGS / OWN[task])
    for name in settings:
        if name.startswith('model.'):
            # Nothing reads a setting that the head does not have.
            assert _get(config, name) is not None, name
    config.merge_from_dict(settings)
    import_modules_from_strings(**config.custom_imports)
    init_default_scope(config.default_scope)
    splits = ['train'] if task == 'pretrain' else ['train', 'val', 'test']
    datasets = {}
    for split in splits:
        dataset = DATASETS.build(config[f'{split}_dataloader'].dataset)
        dataset.full_init()
        assert dataset[0]['inputs'] is not None
        datasets[split] = dataset
        if split != 'train':
            METRICS.build(config[f'{split}_evaluator'])
    return config, datasets


def _get(config, name):
    for part in name.split('.'):
        config = config[part]
    return config


def boxes(dataset):
    """Class and corners of each box, by image."""
    found = {}
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        found[Path(info['img_path']).name] = sorted(
            (dataset.metainfo['classes'][one['bbox_label']],
             tuple(np.round(one['bbox'], 3).tolist()))
            for one in info['instances'])
    return found


def content(scenes, split, kind='instances'):
    return json.loads(
        (scenes / f'annotations/{kind}_{split}.json').read_text())


def true_boxes(scenes, split):
    """Like :func:`boxes`, but from the annotations of Scenes."""
    file = content(scenes, split)
    names = {c['id']: c['name'] for c in file['categories']}
    found = {image['file_name']: [] for image in file['images']}
    files = {image['id']: image['file_name'] for image in file['images']}
    for one in file['annotations']:
        x, y, w, h = one['bbox']
        found[files[one['image_id']]].append(
            (names[one['category_id']], (x, y, x + w, y + h)))
    return {name: sorted(rows) for name, rows in found.items()}


def rows_of(scenes, split):
    """Image name, size, and class, box and polygons of each object."""
    file = content(scenes, split)
    names = {c['id']: c['name'] for c in file['categories']}
    for image in file['images']:
        yield image['file_name'], (image['width'], image['height']), [
            (names[one['category_id']], one['bbox'], one['segmentation'])
            for one in file['annotations'] if one['image_id'] == image['id']
        ]


def write_voc(scenes, out, first=1):
    """Write Pascal VOC's layout; pixels are counted from ``first``."""
    pytest.importorskip('globox')
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (out / folder).mkdir(parents=True)
    for split in ('train', 'val'):
        stems = []
        for name, size, objects in rows_of(scenes, split):
            stem = f'{split}_{Path(name).stem}'
            stems.append(stem)
            shutil.copy(scenes / 'images' / split / name,
                        out / 'JPEGImages' / f'{stem}.jpg')
            parts = []
            for label, (x, y, w, h), _ in objects:
                corners = dict(
                    xmin=x + first, ymin=y + first, xmax=x + w, ymax=y + h)
                box = ''.join(f'<{k}>{v}</{k}>' for k, v in corners.items())
                parts.append(f'<object><name>{label}</name><difficult>0'
                             f'</difficult><bndbox>{box}</bndbox></object>')
            (out / 'Annotations' / f'{stem}.xml').write_text(
                f'<annotation><filename>{stem}.jpg</filename><size>'
                f'<width>{size[0]}</width><height>{size[1]}</height></size>'
                f'{"".join(parts)}</annotation>')
        (out / f'ImageSets/Main/{split}.txt').write_text('\n'.join(stems))
    return out


def write_yolo(scenes, out, polygons=False):
    """Write YOLO's layout with a ``data.yaml``."""
    pytest.importorskip('globox')
    names = [c['name'] for c in content(scenes, 'train')['categories']]
    for split in ('train', 'val'):
        shutil.copytree(scenes / 'images' / split, out / 'images' / split)
        (out / 'labels' / split).mkdir(parents=True)
        for name, size, objects in rows_of(scenes, split):
            lines = []
            for label, (x, y, w, h), segmentation in objects:
                numbers = [(x + w / 2) / size[0], (y + h / 2) / size[1],
                           w / size[0], h / size[1]]
                if polygons:
                    if not isinstance(segmentation, list):
                        continue
                    numbers = [
                        v / size[i % 2] for i, v in enumerate(segmentation[0])
                    ]
                lines.append(' '.join(
                    map(str, [names.index(label), *numbers])))
            (out / 'labels' / split /
             f'{Path(name).stem}.txt').write_text('\n'.join(lines) + '\n')
    listed = '\n'.join(f'  {i}: {name}' for i, name in enumerate(names))
    (out / 'data.yaml').write_text('path: .\ntrain: images/train\n'
                                   f'val: images/val\nnames:\n{listed}\n')
    return out


def write_masks(scenes, out, change=lambda labels: labels, end=''):
    """Write images and label maps without a split."""
    (out / 'images').mkdir(parents=True)
    (out / 'masks').mkdir()
    for path in sorted((scenes / 'images/train').iterdir()):
        shutil.copy(path, out / 'images')
        labels = np.array(
            Image.open(scenes / f'semantic_train/{path.stem}.png'))
        Image.fromarray(change(labels)).save(out / 'masks' /
                                             f'{path.stem}{end}.png')
    return out


def tree_state(root):
    """Modification time of every file: the tests must not touch the data."""
    return {
        path: path.stat().st_mtime_ns
        for path in Path(root).rglob('*') if path.is_file()
    }
