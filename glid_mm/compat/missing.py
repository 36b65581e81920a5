"""What to say when something that a task needs is not there."""
import importlib.util
from typing import Iterable

from .environment import LIBRARIES, Environment, installed_versions

# import name -> what to give to pip, where it is not the same
DISTRIBUTIONS = {
    'imgaug': 'imaug',
    'cv2': 'opencv-python-headless',
    'skimage': 'scikit-image',
    'yaml': 'pyyaml',
    'json_tricks': 'json-tricks',
}

# What is installed without the rest of what it asks for: mmpose's chumpy does
# not build, and is never imported; imaug wants two builds of OpenCV at once;
# and pip may not keep the torch that torchvision has to fit.
ALONE = ('mmpose', 'imgaug', 'torchvision')


class MissingOpError(RuntimeError):
    """A compiled op was called that this environment does not have."""


def install_command(libraries: Iterable[str], env: Environment) -> str:
    """The one command that installs libraries.

    Args:
        libraries (iterable[str]): Import names, such as ``'mmseg'``.
        env (Environment): Where they are missing. What is installed there
            decides which line of OpenMMLab they come from.

    Returns:
        str: A line for the shell.
    """
    libraries = set(libraries)
    alone = sorted(_for_pip(n, env) for n in libraries.intersection(ALONE))
    others = sorted(_for_pip(n, env) for n in libraries.difference(ALONE))
    if others and env.is_upstream:
        # Or pip brings NumPy 2 with the next best requirement.
        others.append('"numpy<2"')
    steps = [('pip install', others), ('pip install --no-deps', alone)]
    return ' && '.join(f'{pip} {" ".join(names)}' for pip, names in steps
                       if names)


def _for_pip(library, env):
    if library == 'mmcv':
        name = env.mmcv_wanted
    elif library == 'torchvision' and env.has('torch'):
        name = env.torchvision_wanted
    elif library in LIBRARIES:
        maintained, upstream = LIBRARIES[library]
        name = upstream[0] if env.is_upstream else maintained or upstream[0]
    else:
        name = DISTRIBUTIONS.get(library, library)
    # Of these characters the shell would make something else.
    return f'"{name}"' if set(name) & set('<>*') else name


def require(*libraries: str, task: str) -> None:
    """Make sure that a task's libraries are there, before importing them.

    Also puts the shims in place, as the libraries are imported next.

    Args:
        libraries (str): Import names, such as ``'mmseg'``.
        task (str): What they are needed for, in words.

    Raises:
        ImportError: If some are missing; says which, for what, and the
            command that installs them.
    """
    from . import install
    install()
    missing = [n for n in libraries if importlib.util.find_spec(n) is None]
    if missing:
        env = Environment(versions=installed_versions())
        raise ImportError(
            f'{task} needs {" and ".join(missing)}, which '
            f'{"is" if len(missing) == 1 else "are"} not installed. '
            f'The cure: {install_command(missing, env)}\n'
            '(`python -m glid_mm.doctor` says what every task needs.)',
            name=missing[0])
