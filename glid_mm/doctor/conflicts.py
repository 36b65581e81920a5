"""Versions that do not work together, and one cure for each case."""
from collections.abc import Callable
from dataclasses import dataclass, replace

from .environment import LIBRARIES, Environment

REBUILD_XTCOCOTOOLS = (
    'pip install cython && pip install --force-reinstall --no-deps '
    '--no-build-isolation --no-binary xtcocotools xtcocotools')


@dataclass(frozen=True)
class Conflict:
    """A conflict between two packages.

    Args:
        problem: The problem and its reason.
        cure: The command that fixes it.
    """
    problem: str
    cure: str


@dataclass(frozen=True)
class Rule:
    """A possible conflict, and the condition for it."""
    applies: Callable[[Environment], bool]
    problem: str
    cure: str


RULES = (
    Rule(lambda env: env.between('torch', below='2.3'),
         'torch before 2.3 lacks functions that glid_mm calls',
         'pip install "torch>=2.3"'),
    Rule(lambda env: 'torch' in env.broken,
         'torch is installed but cannot be imported',
         'pip install --force-reinstall torch'),
    Rule(lambda env: env.between('mmcv', below='2.0') or env.has('mmcv-full'),
         'mmcv 1 does not work with mmengine', 'pip uninstall -y mmcv '
         'mmcv-full && pip install "{new_mmcv}"'),
    Rule(
        lambda env:
        (env.between('mmcv', '2.2') or env.between('mmcv-lite', '2.2')) and
        (env.has('mmdet') or env.has('mmsegmentation')),
        "upstream's mmdet and mmseg refuse mmcv 2.2 and later",
        'pip install "{mmcv}"'),
    Rule(lambda env: env.has('onedl-mmcv', 'mmdet'),
         "upstream's mmdet refuses the maintained line's mmcv",
         'pip uninstall -y mmdet && pip install onedl-mmdetection'),
    Rule(
        lambda env: env.has('onedl-mmcv', 'mmsegmentation'),
        "upstream's mmseg refuses the maintained line's mmcv",
        'pip uninstall -y mmsegmentation && pip install onedl-mmsegmentation'),
    Rule(
        lambda env: env.between('numpy', '2.0') and any(
            env.has(name) for name in
            ('mmcv', 'mmcv-lite', 'mmdet', 'mmsegmentation', 'mmpretrain')),
        "upstream's mmcv, mmdet, mmseg and mmpretrain need NumPy 1",
        'pip install "numpy<2"'),
    Rule(
        lambda env: env.between('numpy', below='2.0') and env.has(
            'onedl-mmsegmentation'),
        "the maintained line's mmseg needs NumPy 2",
        'pip install "numpy>=2,<2.3"'),
    Rule(
        lambda env: env.between('setuptools', '82') and
        (env.has('mmengine') or env.has('mmengine-lite')),
        "upstream's mmengine imports pkg_resources, which setuptools 82 "
        'removed', 'pip install "setuptools<80"'),
    Rule(
        lambda env: env.torchvision_wants is not None and env.has('torch') and
        env.versions['torch'].split('+')[0] != env.torchvision_wants,
        'torchvision and torch come from different releases',
        'pip install --no-deps --upgrade "{torchvision}"'),
    Rule(lambda env: 'mmcv._ext' in env.broken,
         "mmcv's compiled ops were built for another torch", '{mmcv_ops}'),
    Rule(
        lambda env: 'xtcocotools._mask' in env.broken,
        'xtcocotools, which mmpose imports, was built for another NumPy (the '
        'fix needs a C compiler; without one, uninstall xtcocotools, and '
        'glid_mm uses pycocotools instead)', REBUILD_XTCOCOTOOLS),
)


def _installed_twice(env):
    for library, (maintained, upstream) in LIBRARIES.items():
        twins = [name for name in upstream if env.has(name)]
        if maintained is not None and env.has(maintained) and twins:
            yield Conflict(
                f'{maintained} and {" and ".join(twins)} are both installed '
                f'and overwrite each other in {library}/',
                f'pip uninstall -y {" ".join(twins)} && pip install '
                f'--force-reinstall --no-deps {maintained}')


def find_conflicts(env: Environment) -> list[Conflict]:
    """Apply every rule to an environment.

    Args:
        env: Installed packages and versions.

    Returns:
        All conflicts; empty if there are none.
    """
    twice = list(_installed_twice(env))
    if twice:
        # It is unclear which of the two is imported, so no rule is reliable.
        return twice
    others = {k: v for k, v in env.versions.items() if 'mmcv' not in k}
    names = dict(
        torchvision=env.torchvision_wanted,
        mmcv=env.mmcv_wanted,
        new_mmcv=replace(env, versions=others).mmcv_wanted,
        mmcv_ops=env.command_for_mmcv_ops)
    return [
        Conflict(rule.problem, rule.cure.format(**names)) for rule in RULES
        if rule.applies(env)
    ]
