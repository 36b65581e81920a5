"""Errors whose messages tell the user everything needed."""
import importlib.util
from pathlib import Path

from .doctor.install import advice

#: Exit code of a process whose parent reports its error.
EXIT_CODE = 65
#: Placeholder in messages for the path of a checkpoint.
ITSELF = 'CHECKPOINT.pth'


class UserError(RuntimeError):
    """An error that the user can fix; it names the problem and the cure.

    The tools print it without a traceback.
    """


class CheckpointError(UserError):
    """A checkpoint cannot be read or written."""

    def of(self, path: str | Path) -> 'CheckpointError':
        """The same error with the path of the file, also in the cure."""
        text = str(self).replace(ITSELF, str(path))
        return CheckpointError(
            text if text.startswith(str(path)) else f'{path}: {text}')


class NoSpaceError(UserError):
    """A disk or a quota is full."""


class MissingLibraryError(ImportError):
    """A library is not installed; the message has the command for pip."""


class MissingOpError(RuntimeError):
    """A compiled op was called that this environment does not have."""


def require(*libraries: str, task: str) -> None:
    """Check that libraries are installed, without importing them.

    Args:
        libraries: Import names, such as ``'mmseg'``.
        task: The purpose in words, for the message.

    Raises:
        MissingLibraryError: If some are missing; names them, the task, and
            the command that installs them.
    """
    missing = [n for n in libraries if importlib.util.find_spec(n) is None]
    if missing:
        raise MissingLibraryError(
            f'{task} needs {" and ".join(missing)}, which '
            f'{"is" if len(missing) == 1 else "are"} not installed. '
            f'{advice(missing)}',
            name=missing[0])
