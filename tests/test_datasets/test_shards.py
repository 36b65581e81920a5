"""Shards hold the folder's images, even if writing is interrupted."""
import errno
import io
import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import fsspec
import numpy as np
import pytest
from mmengine import fileio
from PIL import Image

from glid_mm.datasets.folders import list_images
from glid_mm.datasets.shard_writer import shard_image, write_shards
from glid_mm.datasets.shards import shard_addresses
from glid_mm.datasets.unlabelled import UnlabelledImages
from glid_mm.errors import NoSpaceError, UserError
from glid_mm.scenes import render_scene

ROOT = Path(__file__).parents[2]
NAMES = [f'{d}/{i}.v1 (copy).jpg' for d in 'ab' for i in range(5)]


def draw_photos(folder):
    """Ten small photos in two folders."""
    for index, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(render_scene(0, 'train', index, (48, 64)).image).save(
            folder / name, quality=95)
    return folder


@pytest.fixture
def folder(tmp_path):
    return draw_photos(tmp_path / 'photos')


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """Shards of the ten photos, in three tar files."""
    root = tmp_path_factory.mktemp('made')
    make(draw_photos(root / 'photos'), root / 'out')
    return root / 'out'


def make(folder, out, **kwargs):
    options = dict(shorter_side=32, images_per_shard=4)
    return write_shards(folder, list_images(folder), out,
                        **dict(options, **kwargs))


def content(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.mark.parametrize('windows', [False, True])
def test_images_come_back_from_shards(made, windows, monkeypatch):
    if windows:
        monkeypatch.delattr(os, 'pread', raising=False)
    assert set(content(made)) == {
        f'00000{i}.{suffix}'
        for i in range(3) for suffix in ('tar', 'idx')
    } | {'shards.json'}  # yapf: disable
    shards = json.loads((made / 'shards.json').read_text())['shards']
    assert [shard['images'] for shard in shards] == [4, 4, 2]
    dataset = UnlabelledImages(str(made))
    assert len(dataset) == len(NAMES)
    # In any order, through addresses that every OpenMMLab loader can read.
    for index in (7, 0, 9, 3):
        data = fileio.get(dataset.get_data_info(index)['img_path'])
        photo = made.parent / 'photos' / NAMES[index]
        assert data == shard_image(photo.read_bytes(), photo, 32, 90)
    with pytest.raises(UserError, match='shards, but .*list.txt cannot'):
        UnlabelledImages(str(made), ann_file='/list.txt')


def test_names_need_not_be_utf8(folder, tmp_path):
    name = os.fsencode(folder / NAMES[0])
    os.rename(name, os.path.dirname(name) + b'/\xe9.jpg')
    make(folder, tmp_path / 'out')
    assert len(shard_addresses(str(tmp_path / 'out'))) == len(NAMES)


@pytest.mark.parametrize('size,shorter_side,expected', [
    ((64, 48), 32, (43, 32)),
    ((48, 64), 32, (32, 43)),
    ((400, 300), 32, (43, 32)),
    ((900, 9), 8, (800, 8)),
    ((64, 48), 48, (64, 48)),
])
def test_shorter_side_is_as_told_and_small_images_are_kept(
        size, shorter_side, expected):
    pixels = render_scene(0, 'train', 0, (300, 400)).image
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=98)
    data = shard_image(file.getvalue(), 'x', shorter_side, 95)
    written = Image.open(io.BytesIO(data))
    assert written.size == expected
    error = np.asarray(written, float) - image.resize(expected,
                                                      Image.Resampling.BICUBIC)
    assert np.abs(error).mean() < 4
    # Small images are kept byte for byte.
    assert (data == file.getvalue()) == (shorter_side == 48)


@pytest.mark.parametrize('mode,suffix', [('L', 'JPEG'), ('CMYK', 'JPEG'),
                                         ('RGBA', 'PNG'), ('I;16', 'PNG')])
def test_any_mode_becomes_a_jpeg(mode, suffix):
    image = Image.fromarray(render_scene(0, 'train', 0, (48, 64)).image)
    image = image.convert('L').convert(mode) if mode == 'I;16' else (
        image.convert(mode))
    file = io.BytesIO()
    image.save(file, suffix)
    written = Image.open(io.BytesIO(shard_image(file.getvalue(), 'x', 32, 90)))
    assert written.format == 'JPEG' and written.size == (43, 32)
    assert written.mode == ('L' if mode == 'L' else 'RGB')


def test_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    for side in (32, 100):
        file = io.BytesIO()
        Image.new('RGB', (64, 48)).save(file, 'JPEG', exif=exif)
        written = Image.open(
            io.BytesIO(shard_image(file.getvalue(), 'x', side, 90)))
        assert written.width < written.height
        assert 0x0112 not in written.getexif()


def test_webdataset_and_tar_read_shards(made):
    webdataset = pytest.importorskip('webdataset')
    ours = [fileio.get(address) for address in shard_addresses(str(made))]
    samples = list(
        webdataset.WebDataset(
            str(made / '{000000..000002}.tar'), shardshuffle=False))
    assert [sample['jpg'] for sample in samples] == ours
    assert samples[7]['__key__'] == 'b/00000007_2_v1__copy_'
    # DALI's index lists type, offset, size and name of every member.
    for tar in sorted(made.glob('*.tar')):
        with tarfile.open(tar) as members:
            lines = [f'jpg {m.offset_data} {m.size} {m.name}' for m in members]
        assert tar.with_suffix('.idx').read_text().splitlines() == [
            f'v1.2 {len(lines)}', *lines
        ]


@pytest.mark.slow
def test_damaged_files_are_named_and_left_out(folder, tmp_path):
    torn = folder / NAMES[2]
    torn.write_bytes(torn.read_bytes()[:700])
    (folder / NAMES[8]).write_text('<html>')
    told = []
    state = make(
        folder,
        tmp_path / 'out',
        progress=lambda done, name, why: told.append((done, name, why)))
    assert set(state['left_out']) == {NAMES[2], NAMES[8]}
    assert 'truncated' in state['left_out'][NAMES[2]]
    assert told[0] == (0, '', None)
    assert [(done, name) for done, name, _ in told[1:]
            ] == [(done, name) for done, name in enumerate(NAMES, 1)]
    assert {name for _, name, why in told if why} == set(state['left_out'])
    assert len(UnlabelledImages(str(tmp_path / 'out'))) == 8
    for name in NAMES:
        (folder / name).write_text('<html>')
    with pytest.raises(UserError, match='none of the 10 images'):
        make(folder, tmp_path / 'none')


KILLED = """
import os, signal, sys
from pathlib import Path
from glid_mm.datasets.shard_writer import write_shards
from glid_mm.datasets.folders import list_images

def progress(done, name, why):
    if done == 6:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == '__main__':
    write_shards(Path(sys.argv[1]), list_images(sys.argv[1]),
                 Path(sys.argv[2]), 32, images_per_shard=4, workers=2,
                 progress=progress)
"""


@pytest.mark.slow
def test_killed_run_goes_on_to_the_same_shards(folder, tmp_path):
    (folder / NAMES[1]).write_text('<html>')
    script = tmp_path / 'killed.py'
    script.write_text(KILLED)
    killed = subprocess.run([sys.executable, script, folder, tmp_path / 'cut'],
                            env=dict(os.environ, PYTHONPATH=str(ROOT)),
                            timeout=120)
    assert killed.returncode == -signal.SIGKILL
    before = content(tmp_path / 'cut')
    assert {'000000.tar', '000000.idx', 'shards.json'} <= set(before)
    assert '000001.tar' not in before
    with pytest.raises(UserError, match='interrupted'):
        UnlabelledImages(str(tmp_path / 'cut'))
    first = (tmp_path / 'cut' / '000000.tar').stat()
    done = []
    make(folder, tmp_path / 'cut', progress=lambda *args: done.append(args[0]))
    # The complete shard is neither written again nor touched.
    assert done == [4, 5, 6, 7, 8, 9, 10]
    assert (tmp_path / 'cut' / '000000.tar').stat() == first
    make(folder, tmp_path / 'whole', workers=2)
    assert content(tmp_path / 'cut') == content(tmp_path / 'whole')
    # Another run changes nothing.
    make(folder, tmp_path / 'cut')
    assert content(tmp_path / 'cut') == content(tmp_path / 'whole')


def test_a_full_disk_leaves_whole_shards(folder, made, tmp_path, monkeypatch):
    fsync = os.fsync

    def full_at_the_second(handle):
        if '000001.tar' in os.readlink(f'/proc/self/fd/{handle}'):
            raise OSError(errno.ENOSPC, 'No space left on device')
        fsync(handle)

    out = tmp_path / 'out'
    monkeypatch.setattr(os, 'fsync', full_at_the_second)
    with pytest.raises(NoSpaceError, match='run the same command again'):
        make(folder, out)
    assert sorted(content(out)) == ['000000.idx', '000000.tar', 'shards.json']
    monkeypatch.undo()
    make(folder, out)
    assert content(out) == content(made)


def test_other_images_or_settings_are_refused(folder, tmp_path):
    make(folder, tmp_path / 'out')
    with pytest.raises(UserError, match='quality differ'):
        make(folder, tmp_path / 'out', quality=50)
    (folder / NAMES[0]).unlink()
    with pytest.raises(UserError, match='files, digest differ'):
        make(folder, tmp_path / 'out')
    with pytest.raises(UserError, match='is not empty'):
        make(folder, folder)


def read_one(address):
    return fileio.get(address)


@pytest.mark.slow
@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_processes_read_beside_each_other(made, method):
    dataset = UnlabelledImages(str(made))
    dataset = pickle.loads(pickle.dumps(dataset))
    paths = [dataset.get_data_info(i)['img_path'] for i in range(10)] * 20
    here = list(map(read_one, paths))
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(read_one, paths, chunksize=1) == here


def test_object_stores_are_read(made):
    store = fsspec.filesystem('memory')
    store.put(f'{made}/', '/bucket/photos/', recursive=True)
    here = UnlabelledImages(str(made))
    there = UnlabelledImages('memory://bucket', data_prefix='photos')
    assert len(there) == 10
    for index in (3, 9):
        assert fileio.get(there.get_data_info(index)['img_path']) == (
            fileio.get(here.get_data_info(index)['img_path']))
    with pytest.raises(UserError, match='memory://elsewhere'):
        UnlabelledImages('memory://elsewhere')


def test_incomplete_copies_are_named(made, tmp_path):
    out = shutil.copytree(made, tmp_path / 'out')
    address = shard_addresses(str(out))[-1]
    shard = out / '000002.tar'
    os.truncate(shard, shard.stat().st_size // 3)
    with pytest.raises(OSError, match='000002.tar is truncated'):
        fileio.get(address)
    index = out / '000001.idx'
    index.write_text(index.read_text()[:-20].rsplit('\n', 1)[0])
    with pytest.raises(UserError, match='index of .*000001.tar is damaged'):
        shard_addresses(str(out))
    whole = (made / '000001.idx').read_text()
    for damage in (whole.replace(' ', '\t'), whole.replace('jpg 5', 'jpg x'),
                   whole.replace('.jpg', '.jpg extra'), whole + whole):
        index.write_text(damage)
        with pytest.raises(UserError, match='000001.idx should list 4'):
            shard_addresses(str(out))
    # An offset beyond the end of the file is an error.
    index.write_text(whole.replace('jpg 512', f'jpg {10**15}'))
    with pytest.raises(OSError, match='000001.tar is truncated'):
        fileio.get(shard_addresses(str(out))[4])
    index.unlink()
    with pytest.raises(UserError, match='000001.idx'):
        shard_addresses(str(out))
    for damage in ('[', '[]', '{"complete": true, "shards": [3]}',
                   '{"complete": true, "shards": [{"name": 3}]}'):
        (out / 'shards.json').write_text(damage)
        with pytest.raises(UserError, match='shards.json is damaged'):
            shard_addresses(str(out))


def test_plain_folder_is_read_by_name(folder):
    (folder / 'a' / 'z.PNG').write_bytes(b'image')
    dataset = UnlabelledImages(str(folder), indices=6)
    assert [dataset.get_data_info(i)['img_path'] for i in range(6)
            ] == [f'{folder}/{name}' for name in [*NAMES[:5], 'a/z.PNG']]
    with pytest.raises(UserError, match='no images in .*/a'):
        UnlabelledImages(str(folder), data_prefix='a', extensions=['.gif'])
    with pytest.raises(UserError, match='cannot list'):
        UnlabelledImages(str(folder), data_prefix='absent')
