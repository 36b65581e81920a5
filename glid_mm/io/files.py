"""Write files completely or not at all."""
import errno
import os
import tempfile
from pathlib import Path

from ..errors import NoSpaceError

PathLike = str | Path

#: Values of ``errno`` if a disk or a quota is full.
FULL = errno.ENOSPC, errno.EDQUOT
_TEMPORARY = '.unfinished-'


def write_atomically(path: PathLike, data: bytes) -> None:
    """Write a temporary file, then rename it in one step.

    A reader sees the old file or the new one, never a partial one, even if
    the process or the machine stops in between.

    Args:
        path: Path of the file; missing folders are created.
        data: The whole content.

    Raises:
        NoSpaceError: If the disk is full. A previous file at ``path`` is
            kept, and no other file is left behind.
    """
    path = Path(path)
    try:
        _write(path, data)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise no_space(path, len(data)) from error
    _sync_folder(path.parent)


def no_space(place: PathLike, size: int | None = None) -> NoSpaceError:
    """The error for a full disk.

    Args:
        place: File or folder that could not be written.
        size: Its size in bytes, if known.

    Returns:
        The error, for the caller to raise.
    """
    needs = f': it needs {size / 1e6:.1f} MB' if size else ''
    return NoSpaceError(f'no space left to write {place}{needs}. Older files '
                        'are intact. Make room or choose another disk.')


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The file's name may be as long as a name can be, 255 bytes.
    handle, temporary = tempfile.mkstemp(
        prefix=f'{_TEMPORARY}{path.name[:50]}-', dir=path.parent)
    try:
        with open(handle, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        # mkstemp makes files private; this one needs the usual permissions.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def make_folder(folder: PathLike) -> None:
    """Create a folder that files can be written to.

    Args:
        folder: The folder.

    Raises:
        NoSpaceError: If the disk is full.
        OSError: If it cannot be created or written to.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            # A full disk may still accept empty files.
            file.write(b'.')
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise no_space(folder) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power failure, where possible."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows cannot open folders.
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(*folders: PathLike) -> list[Path]:
    """Remove leftovers of a killed :func:`write_atomically`.

    Args:
        folders: Folders that no process writes to now.

    Returns:
        The files that were removed.
    """
    found = {
        path
        for folder in folders
        for path in Path(folder).glob(f'{_TEMPORARY}*')
    }
    for path in found:
        path.unlink(missing_ok=True)
    return sorted(found)
