"""A generated validation part stays the same."""
import json
import shutil
from collections import Counter

import pytest

from glid_mm.errors import UserError
from glid_mm.own_data import TASKS, recognise
from glid_mm.own_data.split import keep_split, number_of
from .build import ROOT, built, content, write_yolo


def test_every_class_is_in_both_parts(tmp_path):
    shown = {f'{i}.jpg': Counter(a=2) for i in range(96)}
    shown |= {'b0': Counter(b=1), 'b1': Counter(a=1, b=1),
              'c0': Counter(c=1, b=1), 'none': Counter()}  # yapf: disable
    chosen = keep_split(tmp_path, shown, .1)
    assert len(chosen) == 10 == number_of(.1, 100)
    for part in chosen, set(shown) - chosen:
        assert {'a', 'b'} <= {c for name in part for c in shown[name]}
    # The only image of a class stays in training.
    assert 'c0' not in chosen


def test_the_choice_is_by_names_and_kept(tmp_path):
    shown = {f'{i}.jpg': Counter(a=1) for i in range(20)}
    chosen = keep_split(tmp_path / 'a', shown, 5)
    turned = dict(reversed(shown.items()))
    assert keep_split(tmp_path / 'b', turned, 5) == chosen
    more = {f'more{i}': Counter(a=1) for i in range(100)}
    assert keep_split(tmp_path / 'a', shown | more, 5) == chosen
    gone = sorted(chosen)[0]
    shown.pop(gone)
    assert keep_split(tmp_path / 'a', shown, 5) == chosen - {gone}
    with pytest.raises(UserError, match='val=5, and now val=0.5'):
        keep_split(tmp_path / 'a', shown, .5)
    with pytest.raises(UserError, match='of other images. Remove it'):
        keep_split(tmp_path / 'a', more, 5)
    (tmp_path / 'a/split.json').write_text('{')
    with pytest.raises(UserError, match='split.json cannot be read'):
        keep_split(tmp_path / 'a', shown, 5)


@pytest.mark.parametrize('share,images,number', [(.1, 2, 1), (.1, 100, 10),
                                                 (.9, 2, 1), (7, 5, 4)])
def test_how_many(share, images, number):
    assert number_of(share, images) == number


def test_one_image_cannot_be_split():
    with pytest.raises(UserError, match='one image.*add images'):
        number_of(.1, 1)


@pytest.fixture
def unsplit(scenes, tmp_path):
    root = tmp_path / 'data'
    shutil.copytree(scenes / 'images/train', root / 'photos')
    shutil.copy(scenes / 'annotations/instances_train.json', root / 'all.json')
    return root


def names_of(settings, split):
    with open(settings[f'{split}_dataloader.dataset.ann_file']) as file:
        return {image['file_name'] for image in json.load(file)['images']}


def test_files_that_come_later_are_for_training(unsplit, tmp_path):
    data = recognise(unsplit, 'detection', val=.34)
    assert '2 of them will be set aside' in data.describe()
    first = data.prepare(tmp_path / 'run')
    assert data.prepare(tmp_path / 'run') == first
    val, train = names_of(first, 'val'), names_of(first, 'train')
    assert len(val) == 2 and len(train) == 4 and not val & train
    assert first['test_dataloader.dataset.ann_file'] == first[
        'val_dataloader.dataset.ann_file']
    file = json.loads((unsplit / 'all.json').read_text())
    for i in range(10, 16):
        shutil.copy(unsplit / 'photos/000000.jpg',
                    unsplit / f'photos/0000{i}.jpg')
        file['images'].append(
            dict(id=i, file_name=f'0000{i}.jpg', width=64, height=64))
    (unsplit / 'all.json').write_text(json.dumps(file))
    again = recognise(unsplit, 'detection', val=.34).prepare(tmp_path / 'run')
    assert names_of(again, 'val') == val
    assert len(names_of(again, 'train')) == 10


def test_validation_data_from_elsewhere(unsplit, scenes, tmp_path):
    other = write_yolo(scenes, tmp_path / 'other')
    data = recognise(unsplit, 'detection', val=other)
    settings = data.prepare(tmp_path / 'run')
    assert len(names_of(settings, 'val')) == 4
    assert settings['val_dataloader.dataset.data_prefix.img'] == f'{other}/'
    # Then all data are for training, unchanged.
    assert settings['train_dataloader.dataset.ann_file'] == str(unsplit /
                                                                'all.json')
    strange = content(scenes, 'val')
    strange['categories'][0]['name'] = 'cat'
    shutil.copytree(scenes / 'images/val', tmp_path / 'cats')
    (tmp_path / 'cats/all.json').write_text(json.dumps(strange))
    with pytest.raises(UserError, match='has classes that .* lacks: cat'):
        recognise(unsplit, 'detection', val=tmp_path / 'cats/all.json')


def test_a_list_of_validation_images(unsplit, tmp_path):
    names = tmp_path / 'val.txt'
    names.write_text('000001\n000003.jpg\n')
    data = recognise(unsplit, 'detection', val=names)
    settings = data.prepare(tmp_path / 'run')
    assert names_of(settings,
                    'val') == {'photos/000001.jpg', 'photos/000003.jpg'}
    # A list from Windows.
    names.write_text('000001\r\n000003.jpg\n\n', encoding='utf-8-sig')
    assert names_of(
        recognise(unsplit, 'detection', val=names).prepare(tmp_path / 'again'),
        'val') == {'photos/000001.jpg', 'photos/000003.jpg'}
    names.write_text('\n')
    with pytest.raises(UserError, match='names 0 of the 6 images'):
        recognise(unsplit, 'detection', val=names)
    # Images that are not found would be trained on.
    names.write_text('000001\nlost\nelsewhere/000003.jpg\n')
    with pytest.raises(
            UserError,
            match='fits 2 lines: lost, elsewhere/000003.jpg. .*such as '
            'photos/000000.jpg'):
        recognise(unsplit, 'detection', val=names)
    names.write_bytes('bär.jpg\n'.encode('latin-1'))
    with pytest.raises(UserError, match='val.txt cannot be read.*UTF-8'):
        recognise(unsplit, 'detection', val=names)


@pytest.mark.parametrize('task', [t for t in TASKS if t != 'pretrain'])
def test_data_for_a_test_needs_no_training_part(scenes, tmp_path, task):
    whole = recognise(scenes, task, testing=True)
    assert '4 images for testing. ' in whole.describe()
    root = tmp_path / 'data'
    shutil.copytree(scenes, root)
    for path in [*root.glob('*/*train*'), *root.glob('*_train')]:
        path.rename(path.with_name(path.name.replace('train', 'test')))
    with pytest.raises(UserError, match='has images for .*, .* but none for'):
        recognise(root, task)
    data = recognise(root, task, testing=True)
    text = data.describe()
    assert '6 images for testing. ' in text and 'set aside' not in text
    settings = data.prepare(tmp_path / 'run')
    assert not (tmp_path / 'run/split.json').exists()
    assert any(name.startswith('test_dataloader') for name in settings)
    assert not any(name.startswith(('train_', 'val_')) for name in settings)


def test_a_test_uses_the_pictures_that_val_names(unsplit, tmp_path):
    names = tmp_path / 'val.txt'
    names.write_text('000001\n')
    data = recognise(unsplit, 'detection', val=names, testing=True)
    assert '1 image for testing. ' in data.describe()
    with pytest.raises(UserError, match='val=0.2 .*a test trains nothing'):
        recognise(unsplit, 'detection', val=.2, testing=True)


def test_data_without_parts_is_all_for_a_test(unsplit):
    text = recognise(unsplit, 'detection', testing=True).describe()
    assert '6 images for testing. ' in text and 'set aside' not in text


@pytest.mark.parametrize('val,match', [(6, 'must be fewer than the 6'),
                                       (-1, 'must be a share'),
                                       ('lost', 'no data folder lost')])
def test_what_val_may_not_be(unsplit, val, match):
    with pytest.raises(UserError, match=match):
        recognise(unsplit, 'detection', val=val)


def test_data_has_a_validation_part_already(scenes):
    with pytest.raises(UserError, match='own validation part, of 4 images'):
        recognise(scenes, 'detection', val=.1)


def test_what_the_page_says_can_be_run(scenes, tmp_path, monkeypatch, capsys):
    page = (ROOT / 'docs/own-data.md').read_text()
    code = page.split('```python\n')[1].partition('```')[0]
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'photos').symlink_to(scenes)
    found = {}
    exec(code, found)
    assert '6 images for training' in capsys.readouterr().out
    built('detection', found['settings'])
