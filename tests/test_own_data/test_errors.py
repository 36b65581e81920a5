"""Bad data raises one error that names the problem and the cure."""
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import ExifTags, Image

from glid_mm.datasets.decode import ImageError, decode_image
from glid_mm.errors import MissingLibraryError, UserError
from glid_mm.own_data import TASKS, recognise
from glid_mm.own_data.pictures import picture_size
from .build import ROOT, content, write_masks, write_voc, write_yolo


def copied(scenes, tmp_path):
    """A copy of Scenes with images and JSON annotations, but no label maps."""
    root = tmp_path / 'data'
    shutil.copytree(scenes / 'images', root / 'images')
    shutil.copytree(
        scenes / 'annotations',
        root / 'annotations',
        ignore=lambda *_: ['panoptic_train.json', 'panoptic_val.json'])
    return root


@pytest.mark.parametrize('task', TASKS)
def test_no_data(task, tmp_path):
    with pytest.raises(UserError, match=r'no data folder .*lost\. Check'):
        recognise(tmp_path / 'lost', task)
    with pytest.raises(UserError, match='has no files, or only empty'):
        recognise(tmp_path, task)
    (tmp_path / 'notes.md').write_text('nothing')
    with pytest.raises(UserError, match=r'no data.*1 \.md.*no pictures'):
        recognise(tmp_path, task)


def test_no_such_task(scenes):
    with pytest.raises(UserError, match="no task 'boxes'.*detection"):
        recognise(scenes, 'boxes')


@pytest.mark.parametrize('write', [write_voc, write_yolo, write_masks])
def test_labels_without_pictures(scenes, tmp_path, write):
    root = write(scenes, tmp_path / 'data')
    for path in list(root.rglob('*.jpg')):
        path.unlink()
    task = 'semantic' if write is write_masks else 'detection'
    with pytest.raises(UserError, match='Not used: .*without a picture'):
        recognise(root, task)


def test_coco_without_pictures(scenes, tmp_path):
    root = copied(scenes, tmp_path)
    shutil.rmtree(root / 'images')
    with pytest.raises(
            UserError,
            match='lists 6 images, such as 000000.jpg, '
            'but .* has none of them. Put the pictures'):
        recognise(root, 'detection')


@pytest.mark.parametrize('task', [t for t in TASKS if t != 'pretrain'])
def test_pictures_without_labels(scenes, task):
    with pytest.raises(
            UserError,
            match=r'Looked for: .*12 \.jpg.*fits the '
            r'task pretrain\. docs/own-data.md'):
        recognise(scenes / 'images', task)


def test_the_wrong_task(scenes, tmp_path):
    root = copied(scenes, tmp_path)
    with pytest.raises(
            UserError,
            match='fits the task detection or instance '
            'or pose or pretrain'):
        recognise(root, 'semantic')
    with pytest.raises(UserError, match='fits the task semantic or pretrain'):
        recognise(write_masks(scenes, tmp_path / 'masks'), 'detection')


def test_a_json_that_is_something_else(scenes, tmp_path):
    root = copied(scenes, tmp_path)
    shutil.rmtree(root / 'annotations')
    (root / 'notes.json').write_text('{"shapes": []}')
    with pytest.raises(UserError, match='notes.json: not in COCO'):
        recognise(root, 'detection')
    file = root / 'train.json'
    file.write_text('{"images": [')
    with pytest.raises(UserError, match='train.json cannot be read as JSON'):
        recognise(root, 'detection')
    file.write_text('{"images": []}')
    with pytest.raises(UserError, match="train.json has no 'annotations'"):
        recognise(root, 'detection')


def test_coco_that_is_not_in_order(scenes, tmp_path):
    root = copied(scenes, tmp_path)
    (root / 'annotations/instances_val.json').unlink()
    path = root / 'annotations/instances_train.json'
    whole = content(scenes, 'train')

    def refused(match, change, **kwargs):
        file = json.loads(json.dumps(whole))
        change(file)
        path.write_text(json.dumps(file))
        with pytest.raises(UserError, match=match):
            recognise(root, 'detection', **kwargs)

    refused('annotations have a category that the file does not list.*99',
            lambda f: f['annotations'][0].update(category_id=99))
    refused("'bbox' of 1 of .* is not a list of four numbers",
            lambda f: f['annotations'][0].update(bbox=[1, 2]))
    refused("'file_name'", lambda f: f['images'][0].pop('file_name'))
    refused(
        'no class cat, dog. Its classes are box, ball, cone, person',
        lambda f: None,
        classes=['cat', 'box', 'dog'])
    with pytest.raises(UserError, match='Give the path'):
        (root / 'annotations/other_train.json').write_text(json.dumps(whole))
        (root / 'annotations/instances_train.json').unlink()
        (root / 'annotations/more_train.json').write_text(json.dumps(whole))
        recognise(root, 'detection')
    # The error's advice works.
    data = recognise(root / 'annotations/more_train.json', 'detection')
    assert len(data.parts['train'].samples) == 6


@pytest.mark.parametrize('task,kind', [('detection', 'instances'),
                                       ('panoptic', 'panoptic')])
def test_numbers_that_json_lacks(scenes, tmp_path, task, kind):
    root = tmp_path / 'data'
    shutil.copytree(scenes, root)
    (root / f'annotations/{kind}_val.json').unlink()
    path = root / f'annotations/{kind}_train.json'
    file = content(scenes, 'train', kind)
    file['annotations'][0]['attributes'] = dict(height=float('nan'))
    path.write_text(json.dumps(file))
    with pytest.raises(
            UserError, match=f'{path.name} .* JSON does not allow NaN. Write'):
        recognise(root, task)
    # Python reads a number that is too large as infinity.
    path.write_text(json.dumps(file).replace('NaN', '1e999'))
    recognise(root, task).prepare(tmp_path / 'run')


@pytest.mark.parametrize('segments,match', [
    (None, "'segments_info' of every annotation must be a list"),
    ([3], 'are not objects'),
    ([dict(id=1)], "have no 'category_id'"),
    ([dict(id=1, category_id=99)], 'has category 99, which the file does not'),
])
def test_segments(scenes, tmp_path, segments, match):
    root = tmp_path / 'data'
    shutil.copytree(scenes, root)
    file = content(scenes, 'train', 'panoptic')
    file['annotations'][0]['segments_info'] = segments
    (root / 'annotations/panoptic_train.json').write_text(json.dumps(file))
    with pytest.raises(UserError, match=f'panoptic_train.json: .*{match}'):
        recognise(root, 'panoptic')


def test_lines_that_are_none_are_not_drawn(scenes, tmp_path):
    root = copied(scenes, tmp_path)
    file = content(scenes, 'train', 'person_keypoints')
    file['categories'][0]['skeleton'] = [[1, 2], None, [3], [2, 99], ['a', 1]]
    (root / 'annotations/person_keypoints_train.json').write_text(
        json.dumps(file))
    assert recognise(root, 'pose').skeleton == [(0, 1)]


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
def test_pictures_that_are_cut_off(tmp_path, kind):
    whole = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)
    Image.fromarray(noise).save(whole, kind)
    data = whole.getvalue()
    path = tmp_path / 'a picture'
    path.write_bytes(data + b'more')
    assert picture_size(path) == (30, 40)
    for end in range(0, len(data) - 12, 97):
        path.write_bytes(data[:end])
        with pytest.raises(ImageError, match='a picture'):
            picture_size(path)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'TIFF', 'WEBP'])
@pytest.mark.parametrize('orientation', [1, 3, 6])
def test_pictures_are_upright(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / 'a picture'
    Image.new('RGB', (30, 40)).save(path, kind, exif=exif)
    size = picture_size(path)
    assert size == ((40, 30) if orientation == 6 else (30, 40))
    # Training decodes it in this way.
    assert size == decode_image(path.read_bytes(), str(path)).size


@pytest.mark.parametrize('task', TASKS)
def test_names_that_are_not_utf8(scenes, tmp_path, task):
    root = tmp_path / 'data'
    shutil.copytree(scenes, root)
    folder = os.fsencode(root / 'images/train')
    os.rename(folder + b'/000000.jpg', folder + b'/\xe9.jpg')
    with pytest.raises(
            UserError, match=r'images/train/\\xe9.jpg. is not UTF-8'):
        recognise(root, task)


@pytest.mark.parametrize('line,match', [
    ('4 .5 .5 .1 .1', r'line 2: there is no class 4.*data.yaml names 4 cl'),
    ('1 .5 .5 .1', 'line 2 has 3 numbers after the class'),
    ('1 32 32 6 6', 'line 2: .* outside 0 to 1.*divide pixels'),
    ('1.5 .5 .5 .1 .1', 'line 2: the class 1.5 must be a whole number'),
    ('1 .5 .5 .1 x', "line 2: .* is not in YOLO's format"),
])
def test_lines_of_yolo(scenes, tmp_path, line, match):
    root = write_yolo(scenes, tmp_path / 'data')
    path = root / 'labels/train/000003.txt'
    path.write_text(f'0 .5 .5 .1 .1\n{line}\n')
    with pytest.raises(UserError, match=f'000003.txt, {match}'):
        recognise(root, 'detection')


def test_names_of_yolo(scenes, tmp_path):
    root = write_yolo(scenes, tmp_path / 'data')
    file = root / 'data.yaml'
    file.write_text('names: {1: box, 2: ball}\n')
    with pytest.raises(UserError, match='"names" has the numbers 1, 2'):
        recognise(root, 'detection')
    file.write_text('names: [')
    with pytest.raises(UserError, match='data.yaml cannot be read as YAML'):
        recognise(root, 'detection')
    file.unlink()
    text = recognise(root, 'detection').describe()
    assert 'class_0' in text and 'called class_0' in text


def test_two_formats_at_once(scenes, tmp_path):
    root = write_yolo(scenes, tmp_path / 'data')
    (root / 'annotations').mkdir()
    shutil.copy(scenes / 'annotations/instances_train.json',
                root / 'annotations')
    with pytest.raises(UserError, match='in 2 formats: COCO.*YOLO.*give the'):
        recognise(root, 'detection')
    assert recognise(root / 'data.yaml', 'detection').layout == 'YOLO boxes'
    assert recognise(root / 'annotations/instances_train.json',
                     'detection').layout == 'COCO boxes'


def test_most_of_the_data_is_damaged(scenes, tmp_path):
    root = write_voc(scenes, tmp_path / 'data')
    for path in (root / 'JPEGImages').glob('train*'):
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(
            UserError,
            match='4 of 10 images can be used. Left out'
            ': 6 pictures that cannot be read .JPEGImages/train'):
        recognise(root, 'detection')


def test_a_library_that_is_missing(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(MissingLibraryError, match='globox.*pip install'):
        recognise(write_voc(scenes, tmp_path / 'data'), 'detection')


def test_no_host_is_imported(scenes):
    code = ('import sys\n'
            'from glid_mm.own_data import recognise\n'
            f'for task in {TASKS}:\n'
            f'    recognise({str(scenes)!r}, task).describe()\n'
            'print(sorted({"mmdet", "mmseg", "mmpose", "mmpretrain"} & '
            'set(sys.modules)))')
    done = subprocess.run([sys.executable, '-c', code],
                          cwd=ROOT,
                          capture_output=True,
                          text=True)
    assert done.stdout == '[]\n', done.stderr
