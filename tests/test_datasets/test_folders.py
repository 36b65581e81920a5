"""All readers list the same images of a folder."""
import logging
import os
import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger
from PIL import Image

from glid_mm.datasets.folders import list_images
from glid_mm.datasets.unlabelled import UnlabelledImages
from glid_mm.errors import UserError
from glid_mm.visualization import find_images
from glid_mm.visualization.images import list_inputs

TAKEN = ['Photo.JPG', 'a/b/deep.webp', 'a/scan.tiff', 'cat.gif']


@pytest.fixture
def folder(tmp_path):
    """Four images among other files that folders often contain."""
    for name in TAKEN:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(path)
    photo = (tmp_path / 'Photo.JPG').read_bytes()
    for name, content in {
            'notes.txt': b'text',
            'a/labels.json': b'[]',
            'README': b'read',
            '._Photo.JPG': photo,
            'a/.thumbnails/small.jpg': photo,
            '.ipynb_checkpoints/Photo.jpg': photo,
            'a/empty.png': b'',
            'broken.bmp': b'',
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    # A folder named like an image and a circular link do no harm.
    (tmp_path / 'folder.png').mkdir()
    os.symlink(tmp_path, tmp_path / 'a' / 'circle')
    return tmp_path


@pytest.fixture
def log(caplog, monkeypatch):
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'handlers', [caplog.handler])
    monkeypatch.setattr(logger, 'level', logging.INFO)
    return caplog


def test_all_readers_take_the_same_images(folder):
    paths = [str(folder / name) for name in TAKEN]
    assert list_images(folder) == TAKEN
    dataset = UnlabelledImages(str(folder))
    assert [dataset[i]['img_path'] for i in range(len(dataset))] == paths
    assert find_images([folder]) == list(map(Path, paths))
    assert list_inputs(str(folder)) == paths


def listed_images(folder, text):
    (folder / 'list.txt').write_text(text)
    dataset = UnlabelledImages(str(folder), 'a', ann_file='list.txt')
    return [
        os.path.relpath(dataset[i]['img_path'], folder)
        for i in range(len(dataset))
    ]


def test_a_list_chooses_images(folder):
    assert listed_images(folder, 'scan.tiff\n\nb/deep\n') == TAKEN[1:3]
    assert listed_images(folder, 'scan\n') == TAKEN[2:3]


@pytest.mark.parametrize('text, words', [
    ('scan\ncat\n', '2 images, but 1 are missing, .*being cat'),
    ('scan\nscan\n', 'scan 2 times'),
    ('\n', 'is empty'),
    ('twins', 'twins, which matches 2'),
])
def test_lists_that_do_not_fit_are_refused(folder, text, words):
    for suffix in ('png', 'gif'):
        (folder / 'a' / f'twins.{suffix}').write_bytes(b'image')
    with pytest.raises(UserError, match=f'list.txt.*{words}'):
        listed_images(folder, text)


def test_a_list_that_is_missing_is_named(folder):
    with pytest.raises(UserError, match='none.txt cannot be read'):
        UnlabelledImages(str(folder), ann_file='none.txt')


def test_depth_takes_the_same_images(folder):
    pytest.importorskip('mmseg')
    from glid_mm.tasks.depth import DepthDataset
    for name in TAKEN[:3]:
        path = (folder / 'depth' / name).with_suffix('.map')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'depth')
    dataset = DepthDataset(
        data_root=str(folder),
        data_prefix=dict(img_path='', depth_map_path='depth'),
        depth_map_suffix='.map',
        img_suffix=('.jpg', '.webp', '.tiff'))
    assert [dataset[i]['img_path'][len(f'{folder}/'):]
            for i in range(len(dataset))] == TAKEN[:3]  # yapf: disable


def test_segmentation_takes_the_same_images(folder):
    pytest.importorskip('mmseg')
    from glid_mm.tasks.segmentation import SemanticDataset
    labels = folder / '.labels'
    for name in TAKEN:
        path = (labels / name).with_suffix('.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def listed(**options):
        dataset = SemanticDataset(
            data_root=str(folder),
            data_prefix=dict(img_path='', seg_map_path='.labels'),
            **options)
        return [(os.path.relpath(sample['img_path'], folder),
                 os.path.relpath(sample['seg_map_path'], labels))
                for sample in dataset]

    pairs = [(name, str(Path(name).with_suffix('.png'))) for name in TAKEN]
    assert listed() == pairs
    (folder / 'list.txt').write_text('cat\na/b/deep\n')
    assert listed(ann_file='list.txt') == [pairs[3], pairs[1]]
    (folder / 'list.txt').write_text('cat\nanother\n')
    with pytest.raises(UserError, match='1 of 2 images .*being another'):
        listed(ann_file='list.txt')
    # A tab separates image and label names that differ.
    (folder /
     'list.txt').write_text(f'{TAKEN[0]}\tcat.png\n\ncat.gif\t{pairs[0][1]}\n')
    assert listed(ann_file='list.txt') == [(TAKEN[0], 'cat.png'),
                                           ('cat.gif', pairs[0][1])]
    (folder / 'list.txt').write_text('dog.gif\tcat.png\n')
    with pytest.raises(UserError, match='1 of 1 images .*being dog.gif'):
        listed(ann_file='list.txt')
    (folder / 'list.txt').write_text('cat.gif\tcat.png\ncat.gif\n')
    with pytest.raises(UserError, match="1 of 2 lines .*'cat.gif'"):
        listed(ann_file='list.txt')
    (labels / 'cat.png').unlink()
    with pytest.raises(UserError, match='1 of 4 label maps .*cat.png'):
        listed()
    (folder / 'cat.bmp').write_bytes(b'image')
    with pytest.raises(UserError, match='cat.bmp and cat.gif .*same label'):
        listed()
    with pytest.raises(UserError, match='no images in .*img_path'):
        listed(img_suffix=['.none'])


def test_log_says_what_is_left_out_and_why(folder, log):
    list_images(folder)
    message, = log.messages
    head, kinds, tail = re.split('[()]', message)[:3]
    assert head == f'4 images in {folder}; left out: 3 of other kinds '
    assert set(kinds.split(', ')) == {'1 .txt', '1 .json', '1 no suffix'}
    assert tail.startswith(', 3 hidden, 2 empty ')
    assert 'empty (a/empty.png, …)' in message
    assert log.records[0].levelname == 'WARNING'


def test_folder_without_anything_else_is_no_warning(folder, log):
    list_images(folder / 'a' / 'b')
    assert log.messages == [f"1 images in {folder / 'a' / 'b'}"]
    assert log.records[0].levelname == 'INFO'


def test_folder_that_cannot_be_read_is_named(folder):
    with pytest.raises(UserError, match='cannot list the images in .*missing'):
        list_images(folder / 'missing')


@pytest.mark.parametrize('wrong,says', [
    (np.zeros((4, 4, 3)), 'type uint8.*blue, green, red.*float64'),
    (np.zeros((4, 4, 4), np.uint8), r'\(4, 4, 4\)'),
    (np.zeros((4, 0, 3), np.uint8), r'\(4, 0, 3\)'),
    (3, 'not int'),
])
def test_what_is_no_image_is_refused(wrong, says):
    with pytest.raises(UserError, match=says):
        list_inputs([wrong])
