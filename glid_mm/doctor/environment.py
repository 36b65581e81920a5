"""Facts about the installed packages."""
import importlib
import importlib.metadata
import importlib.util
import math
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path

# import name -> (its distribution in the maintained line, upstream's)
LIBRARIES = {
    'mmengine': ('onedl-mmengine', ('mmengine', 'mmengine-lite')),
    'mmcv': ('onedl-mmcv', ('mmcv', 'mmcv-lite', 'mmcv-full')),
    'mmpretrain': ('onedl-mmpretrain', ('mmpretrain', )),
    'mmdet': ('onedl-mmdetection', ('mmdet', )),
    'mmseg': ('onedl-mmsegmentation', ('mmsegmentation', )),
    'mmpose': (None, ('mmpose', )),
}

# Limits of a container: bytes of main memory, and microseconds of processor
# time in a period, which follows; or 'max'.
_CONTAINER_MEMORY = Path('/sys/fs/cgroup/memory.max')
_CONTAINER_CORES = Path('/sys/fs/cgroup/cpu.max')

# The first release of transformers that mmpretrain cannot import. (Tried with
# the last releases of either line, from 4.28 on, where both begin.)
TRANSFORMERS_BELOW = {'onedl-mmpretrain': '5', 'mmpretrain': '4.52'}

# Other distributions that a rule or a table mentions.
OTHERS = ('torch', 'torchvision', 'numpy', 'setuptools', 'transformers',
          'xtcocotools', 'pycocotools')

# Other imports of a library, or of one of its distributions; `pip install
# --no-deps` omits these.
NEEDS = {
    'mmengine': ('torch', 'numpy', 'cv2', 'addict', 'matplotlib', 'rich',
                 'termcolor', 'yaml', 'yapf'),
    'mmcv': ('mmengine', ),
    'mmpretrain': ('mmcv', 'torchvision', 'einops', 'mat4py', 'modelindex'),
    'mmdet':
    ('mmcv', 'pycocotools', 'scipy', 'shapely', 'six', 'terminaltables'),
    'onedl-mmdetection': ('imgaug', 'imageio', 'skimage'),
    'mmseg': ('mmcv', 'ftfy', 'prettytable', 'regex', 'scipy'),
    'mmpose': ('mmdet', 'torchvision', 'json_tricks', 'munkres', 'scipy'),
}


def release(version: str) -> tuple[int, ...]:
    """The numbers of a version: ``'2.13.0+cpu'`` gives ``(2, 13, 0)``."""
    return tuple(
        int(number) for number in re.match(r'[\d.]*\d', version)[0].split('.'))


@dataclass
class Environment:
    """Facts about an environment.

    Args:
        versions: Versions of installed distributions, by name.
        missing: Import names that a task needs and that cannot be imported.
        torchvision_wants: The version of torch that torchvision was built for,
            if it names one.
        mmcv_ops: Whether mmcv's compiled ops are installed.
        broken: Error messages of failed imports, by module.
    """
    versions: dict[str, str] = field(default_factory=dict)
    missing: set = field(default_factory=set)
    torchvision_wants: str | None = None
    mmcv_ops: bool = False
    broken: dict[str, str] = field(default_factory=dict)

    def has(self, *distributions: str) -> bool:
        """Whether all these distributions are installed."""
        return all(name in self.versions for name in distributions)

    def between(self,
                distribution: str,
                lowest: str = '0',
                below: str = '9999') -> bool:
        """Whether a version in ``[lowest, below)`` is installed."""
        return self.has(distribution) and release(lowest) <= release(
            self.versions[distribution]) < release(below)

    def distribution_of(self, library: str) -> str | None:
        """The installed distribution that provides a library, if any."""
        maintained, upstream = LIBRARIES[library]
        for name in (maintained, *upstream):
            if name in self.versions:
                return name
        return None

    @property
    def is_upstream(self) -> bool:
        """Whether all its libraries are upstream's."""
        lines = list(LIBRARIES.values())
        return not any(self.has(name) for name, _ in lines if name) and any(
            self.has(name) for maintained, names in lines if maintained
            for name in names)

    @property
    def transformers_instead(self) -> str | None:
        """The requirement of transformers, for pip, that mmpretrain can use.

        None if the installed one works, or if one of the two is missing.
        """
        below = TRANSFORMERS_BELOW.get(self.distribution_of('mmpretrain'))
        if below is None or not self.between('transformers', below):
            return None
        return f'transformers>=4.28,<{below}'

    @property
    def mmcv_wanted(self) -> str:
        """The requirement of the mmcv that fits the other libraries, for pip.
        """
        if not self.is_upstream:
            return 'onedl-mmcv'
        # Without ops, since building them takes minutes and a compiler.
        name = 'mmcv' if self.has('mmcv') else 'mmcv-lite'
        return f'{name}>=2.0,<2.2'

    @property
    def command_for_mmcv_ops(self) -> str:
        """The command that builds the compiled ops of this mmcv."""
        build = ('pip install --force-reinstall --no-deps --no-cache-dir '
                 '--no-build-isolation ')
        name = self.distribution_of('mmcv') or 'onedl-mmcv'
        if name == 'mmcv-lite':
            build = f'pip uninstall -y {name} && {build}'
            name = 'mmcv'
        version = self.versions.get(self.distribution_of('mmcv'))
        return build + (f'{name}=={version}' if version else name)

    @property
    def torchvision_wanted(self) -> str:
        """The requirement of the torchvision that fits this torch, for pip."""
        if not self.between('torch', '2.0', '2.14'):
            return 'torchvision>=0.29.2'  # newer ones fit later torch
        _, minor, *_ = release(self.versions['torch'])
        return f'torchvision==0.{minor + 15}.*'

    def lacks(self, library: str) -> list:
        """Missing import names that a library needs, including its own."""
        lacking = [library] if library in self.missing else []
        names = NEEDS.get(library, ())
        if library in LIBRARIES:
            names += NEEDS.get(self.distribution_of(library), ())
        for name in names:
            lacking += [n for n in self.lacks(name) if n not in lacking]
        return lacking


def installed_versions() -> dict[str, str]:
    """Installed versions of the distributions that this module knows."""
    versions = {}
    names = [n for pair in LIBRARIES.values() for n in (pair[0], *pair[1])]
    for name in (*filter(None, names), *OTHERS):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return versions


def _pinned_torch():
    try:
        requirements = importlib.metadata.requires('torchvision') or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    for requirement in requirements:
        pin = re.match(r'torch\s*\(?==\s*([\d.]+)', requirement)
        if pin:
            return pin[1]
    return None


def _finds(name, parent):
    """Whether a module exists, without importing it or its parent."""
    spec = PathFinder.find_spec(parent)
    return spec is not None and bool(
        spec.submodule_search_locations) and (PathFinder.find_spec(
            f'{parent}.{name}', spec.submodule_search_locations) is not None)


def _complaint(module):
    """The error message of a failed import, or None."""
    try:
        importlib.import_module(module)
    except Exception as error:  # a compiled module may fail in any way
        return f'{type(error).__name__}: {error}'.splitlines()[0]
    return None


def look() -> Environment:
    """Inspect the environment of this interpreter."""
    names = {*LIBRARIES, *(n for needs in NEEDS.values() for n in needs)}
    env = Environment(
        versions=installed_versions(),
        missing={n
                 for n in names if importlib.util.find_spec(n) is None},
        torchvision_wants=_pinned_torch(),
        mmcv_ops=_finds('_ext', 'mmcv'))
    suspects = ['torch'] if env.has('torch') else []
    if env.mmcv_ops:
        suspects.append('mmcv._ext')
    if _finds('_mask', 'xtcocotools'):
        suspects.append('xtcocotools._mask')
    complaints = {name: _complaint(name) for name in suspects}
    env.broken = {name: said for name, said in complaints.items() if said}
    return env


def available_cores() -> int:
    """The number of processor cores that this process may use."""
    cores = os.cpu_count() or 1
    if hasattr(os, 'sched_getaffinity'):  # not on macOS and Windows
        cores = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):  # no container, or no limit
        time, period = map(int, _CONTAINER_CORES.read_text().split())
        cores = min(cores, max(1, round(time / period)))
    return cores


def available_memory() -> float:
    """GiB of main memory that this process may use."""
    if not hasattr(os, 'sysconf'):  # Windows
        return math.inf
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    with suppress(OSError, ValueError):  # no container, or no limit
        memory = min(memory, int(_CONTAINER_MEMORY.read_text()))
    return memory / 2**30


def describe_device() -> str:
    """The available processor cores and GPUs, in words."""
    cores = available_cores()
    parts = [f'{cores} CPU core{"s" if cores > 1 else ""}']
    torch = sys.modules.get('torch')  # `look` has imported it if possible
    if torch is not None and torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            gpu = torch.cuda.get_device_properties(index)
            parts.append(f'{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB')
    else:
        parts.append('no GPU that torch can use')
    return '; '.join(parts)
