"""A folder is written whole or not at all."""
import errno
import subprocess
import sys

import pytest

from glid_mm.scenes import render_scene, write_scenes, writer
from .build import ENVIRONMENT, ROOT, contents, read

TOOL = ROOT / 'tools/dataset_converters/make_scenes.py'


@pytest.mark.parametrize('size, error', [(31, ValueError), (0, ValueError),
                                         (-5, ValueError),
                                         ((64, 16), ValueError),
                                         (64.0, TypeError), ('64', TypeError),
                                         ((64, 64, 3), TypeError),
                                         (True, TypeError)])
def test_wrong_sizes_are_refused_and_nothing_is_written(size, error, tmp_path):
    with pytest.raises(error, match='size'):
        render_scene(0, 'train', 0, size)
    with pytest.raises(error, match='size'):
        write_scenes(tmp_path / 'a', 1, 0, 0, size, 0)
    assert not list(tmp_path.iterdir())


def test_wrong_numbers_are_refused_and_nothing_is_written(tmp_path):
    out = tmp_path / 'a'
    with pytest.raises(ValueError, match='val must not be negative'):
        write_scenes(out, 1, -1, 0, 64, 0)
    with pytest.raises(ValueError, match='nothing to do'):
        write_scenes(out, 0, 0, 0, 64, 0)
    with pytest.raises(ValueError, match='seed'):
        write_scenes(out, 1, 0, 0, 64, -1)
    with pytest.raises(ValueError, match='workers'):
        write_scenes(out, 1, 0, 0, 64, 0, workers=0)
    with pytest.raises(TypeError, match='train'):
        write_scenes(out, 1.5, 0, 0, 64, 0)
    with pytest.raises(ValueError, match='split'):
        render_scene(0, 'test', 0, 64)
    with pytest.raises(ValueError, match='index'):
        render_scene(0, 'train', -1, 64)
    assert not list(tmp_path.iterdir())


def test_only_scenes_are_overwritten_and_only_on_request(tmp_path):
    out = tmp_path / 'a'
    out.mkdir()
    assert write_scenes(out, 1, 0, 0, 32, 0)  # an empty folder is used
    before = contents(out)
    assert not write_scenes(out, 1, 0, 0, 32, 0)  # the same again: kept
    with pytest.raises(FileExistsError, match='--overwrite'):
        write_scenes(out, 2, 0, 0, 32, 0)
    assert contents(out) == before
    assert write_scenes(out, 2, 0, 0, 32, 0, overwrite=True)
    assert len(list((out / 'images/train').iterdir())) == 2
    assert [p.name for p in tmp_path.iterdir()] == ['a']

    other = tmp_path / 'b'
    other.mkdir()
    (other / 'thesis.tex').write_text('years of work')
    with pytest.raises(FileExistsError, match='not a Scenes'):
        write_scenes(other, 1, 0, 0, 32, 0, overwrite=True)
    assert (other / 'thesis.tex').exists()


@pytest.mark.parametrize('error', [
    KeyboardInterrupt(),
    OSError(errno.ENOSPC, 'No space left on device'),
    OSError(errno.EACCES, 'Permission denied')
])
def test_nothing_is_left_half_written(tmp_path, monkeypatch, error):
    out = tmp_path / 'a'
    write = writer._encode

    def fail(path, image, options):
        if path.stem == '000002':
            raise error
        write(path, image, options)

    monkeypatch.setattr(writer, '_encode', fail)
    with pytest.raises(type(error)) as caught:
        write_scenes(out, 4, 0, 0, 32, 0)
    if getattr(error, 'errno', None) == errno.ENOSPC:
        assert 'disk is full' in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match='file'):
        write_scenes(tmp_path / 'file/a', 1, 0, 0, 32, 0)


def test_progress_counts_every_image(tmp_path):
    calls = []
    write_scenes(
        tmp_path / 'a', 1, 1, 1, 32, 0, progress=lambda *c: calls.append(c))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_tool_writes_once_and_says_what_it_did(tmp_path):

    def run(*extra):
        return subprocess.run([
            sys.executable,
            str(TOOL), '--out',
            str(tmp_path / 'a'), '--train', '1', '--val', '1', '--unlabelled',
            '0', *extra
        ],
                              capture_output=True,
                              text=True,
                              env=ENVIRONMENT)

    first = run('--size', '32', '48')
    assert first.returncode == 0 and 'written' in first.stdout, first.stderr
    assert read(tmp_path / 'a/semantic_val/000000.png').shape == (32, 48)
    again = run('--size', '32', '48')
    assert again.returncode == 0 and 'nothing to do' in again.stdout
    other = run('--size', '40')
    assert other.returncode == 1 and '--overwrite' in other.stderr


def test_import_is_light():
    code = ('import sys, glid_mm.scenes; '
            'print({"torch", "mmengine", "mmcv"} & set(sys.modules))')
    done = subprocess.run([sys.executable, '-c', code],
                          capture_output=True,
                          text=True,
                          env=ENVIRONMENT)
    assert done.stdout.strip() == 'set()', done.stdout + done.stderr
