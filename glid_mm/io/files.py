"""Write files completely or not at all."""
import errno
import os
import tempfile
from pathlib import Path

from ..errors import CheckpointError

PathLike = str | Path

_TEMPORARY = '.unfinished-'


def write_atomically(path: PathLike, data: bytes) -> None:
    """Write a temporary file, then rename it in one step.

    A reader sees the old file or the new one, never a partial one, even if
    the process or the machine stops in between.

    Args:
        path: Path of the file; missing folders are created.
        data: The whole content.

    Raises:
        CheckpointError: If the disk is full. A previous file at ``path`` is
            kept, and no other file is left behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(
        prefix=f'{_TEMPORARY}{path.name}-', dir=path.parent)
    try:
        with open(handle, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        # mkstemp makes files private; this one needs the usual permissions.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error,
                      OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CheckpointError(
                f'no space left to write {path}: it needs '
                f'{len(data) / 2**20:.1f} MiB. Older files are intact. Make '
                'room or choose another disk.') from error
        raise
    _sync_folder(path.parent)


def make_folder(folder: PathLike) -> None:
    """Create a folder that files can be written to.

    Args:
        folder: The folder.

    Raises:
        OSError: If it cannot be created or written to.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


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
