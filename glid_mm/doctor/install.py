"""The command that installs a task's missing libraries."""
from collections.abc import Iterable

from .environment import LIBRARIES, Environment, installed_versions

# import name -> name for pip, if different
DISTRIBUTIONS = {
    'imgaug': 'imaug',
    'cv2': 'opencv-python-headless',
    'skimage': 'scikit-image',
    'yaml': 'pyyaml',
    'json_tricks': 'json-tricks',
}

# Packages to install without dependencies: mmpose's chumpy does not build and
# is never imported; imaug requires two builds of OpenCV; pip may replace the
# torch that torchvision must fit.
ALONE = ('mmpose', 'imgaug', 'torchvision')


def install_command(libraries: Iterable[str], env: Environment) -> str:
    """A single command that installs libraries.

    Args:
        libraries: Import names, such as ``'mmseg'``.
        env: The environment. Its packages decide which line of OpenMMLab the
            libraries come from.

    Returns:
        A shell command.
    """
    libraries = set(libraries)
    alone = sorted(_for_pip(n, env) for n in libraries.intersection(ALONE))
    others = sorted(_for_pip(n, env) for n in libraries.difference(ALONE))
    if others and env.is_upstream:
        # Otherwise pip installs NumPy 2 with some other requirement.
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
    # The shell would interpret these characters.
    return f'"{name}"' if set(name) & set('<>*') else name


def advice(libraries: Iterable[str]) -> str:
    """Instructions to install missing libraries, in two lines."""
    env = Environment(versions=installed_versions())
    return (f'Install with: {install_command(libraries, env)}\n'
            '(`python -m glid_mm.doctor` lists what each task needs.)')
