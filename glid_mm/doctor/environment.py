"""The installed packages: facts without judgement."""
import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
from dataclasses import dataclass, field
from importlib.machinery import PathFinder

# import name -> (its distribution in the maintained line, those upstream)
LIBRARIES = {
    'mmengine': ('onedl-mmengine', ('mmengine', 'mmengine-lite')),
    'mmcv': ('onedl-mmcv', ('mmcv', 'mmcv-lite', 'mmcv-full')),
    'mmpretrain': ('onedl-mmpretrain', ('mmpretrain', )),
    'mmdet': ('onedl-mmdetection', ('mmdet', )),
    'mmseg': ('onedl-mmsegmentation', ('mmsegmentation', )),
    'mmpose': (None, ('mmpose', )),
}

# The first release of transformers that an mmpretrain cannot import. (Tried
# with the last releases of either line, from 4.28 on, where both begin.)
TRANSFORMERS_BELOW = {'onedl-mmpretrain': '5', 'mmpretrain': '4.52'}

# Other distributions that some rule or some table is about.
OTHERS = ('torch', 'torchvision', 'numpy', 'setuptools', 'transformers',
          'xtcocotools', 'pycocotools')

# What a library, or one distribution of it, imports besides; `pip install
# --no-deps` leaves these out.
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
    """Findings about an environment.

    Args:
        versions (dict): Version by distribution, for those installed.
        missing (set): Import names, out of those that some task needs, that
            cannot be imported.
        torchvision_wants (str, optional): The version of torch that
            torchvision was built for, if it names one.
        mmcv_ops (bool): Whether mmcv's compiled ops are there.
        broken (dict): Error messages by the module whose import failed.
    """
    versions: dict[str, str] = field(default_factory=dict)
    missing: set = field(default_factory=set)
    torchvision_wants: str | None = None
    mmcv_ops: bool = False
    broken: dict[str, str] = field(default_factory=dict)

    def has(self, *distributions: str) -> bool:
        """Whether all of them are installed."""
        return all(name in self.versions for name in distributions)

    def between(self,
                distribution: str,
                lowest: str = '0',
                below: str = '9999') -> bool:
        """Whether it is installed in a version in ``[lowest, below)``."""
        return self.has(distribution) and release(lowest) <= release(
            self.versions[distribution]) < release(below)

    def distribution_of(self, library: str) -> str | None:
        """The distribution that a library comes from, if it is installed."""
        maintained, upstream = LIBRARIES[library]
        for name in (maintained, *upstream):
            if name in self.versions:
                return name
        return None

    @property
    def is_upstream(self) -> bool:
        """Whether its libraries are all upstream's."""
        lines = list(LIBRARIES.values())
        return not any(self.has(name) for name, _ in lines if name) and any(
            self.has(name) for maintained, names in lines if maintained
            for name in names)

    @property
    def transformers_instead(self) -> str | None:
        """For pip: the transformers that mmpretrain needs instead of this one.

        None if this one works, or if one of the two is not installed.
        """
        below = TRANSFORMERS_BELOW.get(self.distribution_of('mmpretrain'))
        if below is None or not self.between('transformers', below):
            return None
        return f'transformers>=4.28,<{below}'

    @property
    def mmcv_wanted(self) -> str:
        """The mmcv that goes with the other libraries, for pip."""
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
        """The releases of torchvision that go with this torch, for pip."""
        if not self.between('torch', '2.0', '2.14'):
            return 'torchvision>=0.29.2'  # from here on it takes later torch
        _, minor, *_ = release(self.versions['torch'])
        return f'torchvision==0.{minor + 15}.*'

    def lacks(self, library: str) -> list:
        """Import names that are missing for a library, itself included."""
        lacking = [library] if library in self.missing else []
        names = NEEDS.get(library, ())
        if library in LIBRARIES:
            names += NEEDS.get(self.distribution_of(library), ())
        for name in names:
            lacking += [n for n in self.lacks(name) if n not in lacking]
        return lacking


def installed_versions() -> dict[str, str]:
    """Versions of the distributions that this module knows."""
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
    """Whether the parent has such a module, without importing either."""
    spec = PathFinder.find_spec(parent)
    return spec is not None and bool(
        spec.submodule_search_locations) and (PathFinder.find_spec(
            f'{parent}.{name}', spec.submodule_search_locations) is not None)


def _complaint(module):
    """The error message of a failed import, or None."""
    try:
        importlib.import_module(module)
    except Exception as error:  # a binary may fail in any way it likes
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
    if hasattr(os, 'sched_getaffinity'):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_device() -> str:
    """The available processor cores and GPUs, in words."""
    cores = available_cores()
    parts = [f'{cores} CPU core{"s" if cores > 1 else ""}']
    torch = sys.modules.get('torch')  # `look` has imported it if it can be
    if torch is not None and torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            gpu = torch.cuda.get_device_properties(index)
            parts.append(f'{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB')
    else:
        parts.append('no GPU that torch can use')
    return '; '.join(parts)
