"""Files are written whole or not at all."""
import errno
import os

import pytest

from glid_mm.errors import NoSpaceError
from glid_mm.io.files import remove_leftovers, write_atomically


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_leaves_the_old_file(number, tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'
    write_atomically(path, b'old')

    def full(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(
            NoSpaceError, match=r'no space .*a\.pth.* 2\.1 MB.*Make room'):
        write_atomically(path, bytes(2 << 20))
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


def test_other_trouble_is_not_renamed(tmp_path, monkeypatch):

    def broken(handle):
        raise OSError(errno.EIO, 'I/O error')

    monkeypatch.setattr(os, 'fsync', broken)
    with pytest.raises(OSError, match='I/O error'):
        write_atomically(tmp_path / 'a.pth', b'new')
    assert not list(tmp_path.iterdir())


def test_written_file_is_readable_by_others(tmp_path):
    mask = os.umask(0o022)
    try:
        write_atomically(tmp_path / 'sub' / 'a', b'x')
    finally:
        os.umask(mask)
    assert (tmp_path / 'sub' / 'a').stat().st_mode & 0o777 == 0o644


def test_a_name_may_be_as_long_as_a_name_can_be(tmp_path):
    for name in 'x' * 255, '物' * 85:
        write_atomically(tmp_path / name, b'a')
        assert (tmp_path / name).read_bytes() == b'a'


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    (tmp_path / 'a.pth').touch()
    (tmp_path / '.unfinished-a.pth-x1').touch()
    removed = remove_leftovers(tmp_path, tmp_path, tmp_path / 'none')
    assert [path.name for path in removed] == ['.unfinished-a.pth-x1']
    assert [path.name for path in tmp_path.iterdir()] == ['a.pth']
