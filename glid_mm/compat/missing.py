"""What to say when something that a task needs is not there."""
import importlib.util

# import name -> what to give to pip, where it is not the same
DISTRIBUTIONS = {
    'mmengine': 'onedl-mmengine',
    'mmcv': 'onedl-mmcv',
    'mmpretrain': 'onedl-mmpretrain',
    'mmdet': 'onedl-mmdetection',
    'mmseg': 'onedl-mmsegmentation',
    # Its chumpy does not build, and is never imported.
    'mmpose': '--no-deps mmpose',
    # It wants two builds of OpenCV at once.
    'imgaug': '--no-deps imaug',
    'cv2': 'opencv-python-headless',
    'skimage': 'scikit-image',
    'yaml': 'pyyaml',
    'json_tricks': 'json-tricks',
    # Its wheel must be of torch's release, which pip may not keep otherwise.
    'torchvision': '--no-deps torchvision',
}


class MissingOpError(RuntimeError):
    """A compiled op was called that this environment does not have."""


def install_command(library: str) -> str:
    """The command that installs a library.

    Args:
        library (str): Its import name, such as ``'mmseg'``.

    Returns:
        str: A line for the shell.
    """
    return f'pip install {DISTRIBUTIONS.get(library, library)}'


def require(*libraries: str, task: str) -> None:
    """Make sure that a task's libraries are there, before importing them.

    Also puts the shims in place, as the libraries are imported next.

    Args:
        libraries (str): Import names, such as ``'mmseg'``.
        task (str): What they are needed for, in words.

    Raises:
        ImportError: If one is missing; says which, for what, and the command
            that installs it.
    """
    from . import install
    install()
    for library in libraries:
        if importlib.util.find_spec(library) is None:
            raise ImportError(
                f'{task} needs {library}, which is not installed. '
                f'Install it with: {install_command(library)}\n'
                '(`python -m glid_mm.doctor` says what every task needs.)',
                name=library)
