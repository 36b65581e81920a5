"""Label maps are read unchanged, or refused with an error that names them."""
from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import RUNNERS, init_default_scope
from PIL import Image

from glid_mm.errors import UserError
from glid_mm.scenes import write_scenes
from glid_mm.tasks.segmentation import LoadSemanticMap, SemanticDataset
from glid_mm.tasks.segmentation.ignored import follow
from ..nano import short_run

CONFIG = (
    Path(__file__).resolve().parents[2] / 'configs/segmentation' /
    'glid_nano_1xb16-2k_scenes-128x128.py')
LABELS = np.array([[0, 1, 2], [3, 1, 255]], np.uint8)


def load(path, size=(2, 3), info={}, **kwargs):
    results = dict(
        seg_map_path=str(path),
        img_path='image.jpg',
        ori_shape=size,
        seg_fields=[],
        reduce_zero_label=False)
    results.update(info)
    return LoadSemanticMap(**kwargs)(results)['gt_seg_map']


def saved(path, pixels, mode=None, **kwargs):
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **kwargs)
    return path


def test_labels_are_the_values_of_the_file(tmp_path):
    png = tmp_path / 'map.png'
    assert np.array_equal(load(saved(png, LABELS)), LABELS)
    wide = LABELS.astype(np.uint16) * 200
    assert np.array_equal(load(saved(png, wide)), wide)
    tif = tmp_path / 'map.tif'
    assert np.array_equal(
        load(saved(tif,
                   wide.astype(np.int32) * 10)),
        wide.astype(int) * 10)
    assert np.array_equal(load(saved(tif, wide.astype(np.float32))), wide)
    assert np.array_equal(
        load(saved(png, LABELS == 1)), (LABELS == 1).astype(int))
    palette = Image.fromarray(LABELS)
    palette.putpalette(list(range(255, -1, -1)) * 3)
    palette.save(png)
    assert palette.mode == 'P'
    assert np.array_equal(load(png), LABELS)


@pytest.mark.parametrize('bits, row', [(2, 0b00011011), (4, 0x0f)])
def test_grey_levels_of_few_bits_are_not_spread(tmp_path, bits, row):
    # Pillow cannot write such files.
    import struct
    import zlib

    def chunk(name, data):
        crc = zlib.crc32(name + data)
        return struct.pack('>I', len(data)) + name + data + struct.pack(
            '>I', crc)

    path = tmp_path / 'map.png'
    width = 8 // bits
    path.write_bytes(
        b'\x89PNG\r\n\x1a\n' +
        chunk(b'IHDR', struct.pack('>IIBBBBB', width, 1, bits, 0, 0, 0, 0)) +
        chunk(b'IDAT', zlib.compress(bytes([0, row]))) + chunk(b'IEND', b''))
    expected = {2: [0, 1, 2, 3], 4: [0, 15]}[bits]
    assert load(path, (1, width)).tolist() == [expected]


def test_label_maps_that_do_not_fit_are_named(tmp_path):
    png = tmp_path / 'map.png'
    with pytest.raises(UserError, match='2×3 pixels.*image.jpg is 4×6'):
        load(saved(png, LABELS), (4, 6))
    colours = np.random.RandomState(0).randint(0, 255, (2, 3, 3), np.uint8)
    with pytest.raises(UserError, match='map.png has 3 channels.*colours'):
        load(saved(png, colours))
    with pytest.raises(UserError, match='has 3 channels.*keep the first'):
        load(saved(png, np.stack([LABELS] * 3, -1)))
    with pytest.raises(UserError, match='has 4 channels.*keep the first'):
        load(saved(png, LABELS, 'RGBA'))
    with pytest.raises(UserError, match='has 2 channels'):
        load(saved(png, LABELS, 'LA'))
    with pytest.raises(UserError, match='map.jpg is a JPEG'):
        load(saved(tmp_path / 'map.jpg', LABELS))
    with pytest.raises(UserError, match='not whole numbers'):
        load(saved(tmp_path / 'map.tif', LABELS.astype(np.float32) / 2))
    damaged = saved(png, LABELS).read_bytes()
    for name, content in (('text', b'no picture'), ('cut', damaged[:50])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f'{name} cannot be read'):
            load(tmp_path / name)
    with pytest.raises(UserError, match='missing.png cannot be read'):
        load(tmp_path / 'missing.png')


def test_unlabelled_and_left_out_classes_become_what_is_ignored(tmp_path):
    path = saved(tmp_path / 'map.png', LABELS)
    reduced = dict(reduce_zero_label=True)
    assert load(path, info=reduced).tolist() == [[255, 0, 1], [2, 0, 255]]
    swapped = dict(label_map={0: 1, 1: 0, 2: 255, 3: 2})
    assert load(path, info=swapped).tolist() == [[1, 0, 255], [2, 0, 255]]
    assert load(
        path, info={
            **reduced, 'label_map': {
                0: 255,
                1: 0,
                2: 1
            }
        }).tolist() == [[255, 255, 0], [1, 255, 255]]
    many = load(path, info=reduced, ignore_index=65535)
    assert many.tolist() == [[65535, 0, 1], [2, 0, 254]]
    with pytest.raises(UserError, match='is False in LoadSemanticMap.*True'):
        load(path, info=reduced, reduce_zero_label=False)


def test_class_255_of_many_is_no_omitted_class():
    names = [f'class {i}' for i in range(301)]

    class Many(SemanticDataset):
        METAINFO = dict(classes=names)

    label_map = Many.get_label_map(names[1:])
    load = LoadSemanticMap(ignore_index=65535)
    labels = load.relabel(
        np.array([0, 255, 256, 300], np.uint16), dict(label_map=label_map))
    assert labels.tolist() == [65535, 254, 255, 299]
    # mmseg's own transform reads the map of fewer classes.
    assert Many.get_label_map(names[46:])[0] == 255
    assert Many.get_label_map(names) is None


@pytest.fixture
def run(tmp_path):
    """A function that builds a short run on Scenes with changed label maps."""
    data = tmp_path / 'scenes'
    write_scenes(data, train=2, val=2, unlabelled=0, size=64, seed=0)

    def build(change, *splits, **changes):
        for split in splits:
            for path in (data / f'semantic_{split}').iterdir():
                saved(path, change(np.array(Image.open(path))))
        return RUNNERS.build(
            short_run(CONFIG, data, tmp_path / 'run', **changes))

    return build


@pytest.mark.parametrize('split', ['train', 'val'])
def test_wrong_labels_stop_a_run_before_the_first_batch(run, split):
    runner = run(lambda labels: np.where(labels == 6, 9, labels).astype('u1'),
                 split)
    with pytest.raises(UserError, match=f'^label 9 in .*semantic_{split}'):
        runner.train()
    assert runner.iter == 0


def test_labels_that_no_map_of_a_sample_has_stop_evaluation(run):
    # The model finds labels that the hook did not check.
    runner = run(lambda labels: np.where(labels == 6, 9, labels).astype('u1'),
                 'val', **{'default_hooks.labels.num_maps': 0})
    with pytest.raises(UserError, match='^label 9 in .*semantic_val'):
        runner.train()
    assert runner.iter == 1


TWO = {
    f'{split}_dataloader.dataset.metainfo':
    dict(classes=('background', 'object'), palette=[[0] * 3, [255] * 3])
    for split in ('train', 'val', 'test')
}


def warnings(runner, capsys):
    capsys.readouterr()
    runner.train()
    out, err = capsys.readouterr()
    return [
        line for line in (out + err).splitlines()
        if 'no pixel of class' in line
    ]


def test_a_class_that_was_written_as_ignored_is_said_once(run, capsys):
    runner = run(
        lambda labels: np.where(labels == labels.max(), 255, 0).astype('u1'),
        'train', 'val', **{'model.decode_head.num_classes': 2}, **TWO)
    line, = warnings(runner, capsys)
    assert "no pixel of class 1 'object' is in the 2 label maps of 2" in line
    assert 'while 255, which is ignored, is in 2 of them' in line
    assert '0 and 1 in place of 0 and 255' in line


def test_an_absent_class_alone_is_not_worth_a_word(run, capsys):
    runner = run(np.zeros_like, 'train', 'val',
                 **{'model.decode_head.num_classes': 2}, **TWO)
    assert not warnings(runner, capsys)


LOADERS = [
    f'{split}_dataloader.dataset.' for split in ('train', 'val', 'test')
]


def turned(**kwargs):
    """A pipeline whose rotation fills the corners of label maps."""
    return [
        dict(type='LoadImageFromFile', imdecode_backend='pillow'),
        dict(type='glid_mm.LoadSemanticMap'),
        dict(type='RandomRotate', prob=1., degree=(30, 30), **kwargs),
        dict(type='PackSegInputs')
    ]


def test_what_is_ignored_is_one_number_everywhere(run):
    """Another ``ignore_index`` with maps to match gives the same results."""
    found = []
    for number in (255, 0):

        def change(labels, number=number):
            # Classes 0 and 5 are ignored, too: 0 can mark ignored pixels.
            ignored = (labels == 255) | (labels % 5 == 0)
            return np.where(ignored, number, labels).astype('u1')

        runner = run(
            change, 'train', 'val', **{
                'model.decode_head.ignore_index': number,
                'train_dataloader.dataset.pipeline': turned(),
                'experiment_name': f'ignored {number}'
            })
        runner.train()
        found.append({
            name: buffer.current()
            for name, buffer in runner.message_hub.log_scalars.items()
            if 'time' not in name
        })
        sample = runner.train_dataloader.dataset.wrapped[0]['data_samples']
        shown = sample.gt_sem_seg.data
        metric, = runner.val_evaluator.metrics
        assert metric.ignore_index == number
        # Filled corners are ignored, too.
        assert shown[0, 0, 0] == number
        assert (shown == number).sum() > 500
    before, after = found
    assert before['train/decode.loss_mask'] > 0
    assert after == pytest.approx(before, nan_ok=True)


@pytest.mark.parametrize('number', [-1, 256, 65535])
def test_what_is_ignored_need_not_fit_into_the_file(number, tmp_path):
    labels = np.full((40, 40), 3, np.uint8)
    saved(tmp_path / 'map.png', labels)
    Image.fromarray(labels).convert('RGB').save(tmp_path / 'image.png')
    init_default_scope('mmseg')
    pipeline = Compose(turned())
    for step in pipeline.transforms:
        follow(step, number, 'a pipeline')
    sample = pipeline(
        dict(
            img_path=str(tmp_path / 'image.png'),
            seg_map_path=str(tmp_path / 'map.png'),
            reduce_zero_label=False,
            seg_fields=[]))['data_samples']
    shown = sample.gt_sem_seg.data
    assert shown.unique().tolist() == sorted([3, number])
    assert shown[0, 0, 0] == number and shown[0, 20, 20] == 3


def test_another_number_for_what_is_ignored_is_refused(run):
    other = {'model.decode_head.ignore_index': 254}
    for name, setting, value in (
        ('ignore_index of LoadSemanticMap of train_dataloader.dataset',
         'train_dataloader.dataset.pipeline.1.ignore_index', 7),
        ('seg_pad_val of RandomRotate of train_dataloader.dataset',
         'train_dataloader.dataset.pipeline', turned(seg_pad_val=7)),
        ("pad_val['seg'] of Pad of train_dataloader.dataset",
         'train_dataloader.dataset.pipeline',
         turned() + [dict(type='Pad', size_divisor=8, pad_val=dict(seg=7))]),
        ('ignore_index of IoUMetric of val_evaluator',
         'val_evaluator.ignore_index', 7)):  # yapf: disable
        runner = run(lambda labels: labels, **other, **{setting: value})
        with pytest.raises(
                UserError,
                match='is 7, but model.decode_head.'
                'ignore_index is 254') as caught:
            runner.train()
        assert name in str(caught.value) and runner.iter == 0
    with pytest.raises(
            UserError,
            match='^seg_pad_val of model.data_preprocessor '
            'is 7, but .* is 254'):
        run(lambda labels: labels, **other,
            **{'model.data_preprocessor.seg_pad_val': 7})


def test_what_is_ignored_is_no_class_that_got_its_number(run):
    reduced = {f'{loader}reduce_zero_label': True for loader in LOADERS}
    runner = run(lambda labels: labels, **reduced,
                 **{'model.decode_head.ignore_index': 0})
    with pytest.raises(
            UserError,
            match='ignore_index=0 is also the number of a '
            'class after reduce_zero_label'):
        runner.train()


def test_images_to_predict_need_no_label_map():
    results = dict(img_path='image.jpg', ori_shape=(2, 3))
    assert LoadSemanticMap()(dict(results)) == results
