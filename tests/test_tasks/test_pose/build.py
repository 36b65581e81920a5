"""Samples of Scenes for a tiny pose estimator."""
import json
from pathlib import Path

from mmengine.dataset import pseudo_collate

from glid_mm.tasks.pose import CocoPoseDataset

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / 'configs' / 'pose'
SCENES = CONFIGS / 'glid_nano_1xb16-16k_scenes-128x96.py'
CODEC = dict(input_size=(64, 64), heatmap_size=(16, 16), sigma=1.)
PIPELINE = [
    dict(type='mmpose.LoadImage'),
    dict(type='mmpose.GetBBoxCenterScale'),
    dict(type='mmpose.TopdownAffine', input_size=(64, 64), use_udp=True),
    dict(
        type='mmpose.GenerateTarget',
        encoder=dict(type='mmpose.UDPHeatmap', **CODEC)),
    dict(type='mmpose.PackPoseInputs'),
]


def dataset(root, split='train', pipeline=PIPELINE, **kwargs):
    kwargs.setdefault('ann_file', f'annotations/person_keypoints_{split}.json')
    return CocoPoseDataset(
        data_root=str(root),
        data_prefix=dict(img=f'images/{split}'),
        pipeline=pipeline,
        **kwargs)


def batch(model, samples, training=True):
    return model.data_preprocessor(pseudo_collate(samples), training)


def crops(root, count=8):
    """Crops of the persons with the most labelled keypoints."""
    data = dataset(root)
    show = [(data.get_data_info(i)['num_keypoints'],
             float(data.get_data_info(i)['area']), i)
            for i in range(len(data))]
    return [data[i] for *_, i in sorted(show)[-count:]]


def boxes_file(root, path, score=.9, **changes):
    """Write annotated boxes as a detector's results."""
    content = json.loads(
        (root / 'annotations' / 'person_keypoints_val.json').read_text())
    found = [
        dict(
            image_id=a['image_id'],
            category_id=a['category_id'],
            bbox=a['bbox'],
            score=score) for a in content['annotations']
        if any(a['keypoints'][2::3])
    ]
    found.append(dict(found[0], category_id=1))
    found[0].update(changes)
    path.write_text(json.dumps(found))
    return path


def changed(root, change, name='changed.json'):
    """Write validation annotations changed by ``change(content)``."""
    content = json.loads(
        (root / 'annotations' / 'person_keypoints_val.json').read_text())
    change(content)
    path = root / 'annotations' / name
    path.write_text(json.dumps(content))
    return f'annotations/{name}'
