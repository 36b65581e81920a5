"""``python -m glid_mm.doctor``: what is installed, missing or in conflict.

The exit code is 1 if installed packages are in conflict, else 0: a missing
library is not a conflict, it only disables a task.
"""
import platform

from .. import __version__
from .conflicts import find_conflicts
from .environment import LIBRARIES, Environment, describe_device, look
from .install import install_command

# task -> the libraries that it needs
TASKS = {
    'pre-training': ('mmpretrain', ),
    'detection': ('mmdet', ),
    'semantic segmentation': ('mmseg', ),
    'instance and panoptic segmentation': ('mmdet', ),
    'depth': ('mmseg', ),
    'pose': ('mmpose', ),
}


def _lacking(env, libraries):
    # A dict serves as an ordered set.
    return list(
        dict.fromkeys(
            name for library in libraries for name in env.lacks(library)))


def describe_libraries(env: Environment) -> list:
    """One row per library: import name, version, origin."""
    rows = [('python', platform.python_version(), ''),
            ('glid_mm', __version__, '')]
    for name in ('torch', 'torchvision', 'numpy'):
        rows.append((name, env.versions.get(name, 'missing'), ''))
    for name, (maintained, _) in LIBRARIES.items():
        found = env.distribution_of(name)
        if found is None:
            rows.append((name, 'missing', ''))
        else:
            line = 'maintained line' if found == maintained else 'upstream'
            if name == 'mmpose':
                line = 'serves both lines'
            rows.append((name, env.versions[found], f'{line} ({found})'))
    if env.distribution_of('mmcv'):
        rows.append(
            ("mmcv's compiled ops", 'yes' if env.mmcv_ops else 'no',
             '' if env.mmcv_ops else 'not needed; `make ops` builds them'))
    if env.has('transformers') and env.distribution_of('mmpretrain'):
        instead = env.transformers_instead
        rows.append(
            ('transformers', env.versions['transformers'],
             f"mmpretrain's multimodal models are off (they need {instead}); "
             'glid_mm does not use them' if instead else ''))
    rows.append(('device', '', describe_device()))
    return rows


def describe_tasks(env: Environment) -> list:
    """One row per task: its name, whether it can run, missing libraries."""
    rows = []
    for task, libraries in TASKS.items():
        lacking = _lacking(env, libraries)
        rows.append(
            (task, 'lacks' if lacking else 'ready', ', '.join(lacking)))
    return rows


def show(title: str, rows: list) -> None:
    """Print rows of three texts as a table, with rich if installed."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
        print(f'{title}')
        for first, second, third in rows:
            print(f'  {first:{widths[0]}}  {second:{widths[1]}}  '
                  f'{third}'.rstrip())
        print()
        return
    table = Table(title=title, title_justify='left', show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow='fold')
    for row in rows:
        # rich would read text in square brackets as a style.
        table.add_row(*(text.replace('[', r'\[') for text in row))
    Console().print(table)


def main() -> int:
    """Print the report.

    Returns:
        The exit code.
    """
    env = look()
    show('Found', describe_libraries(env))
    show('Tasks', describe_tasks(env))
    lacking = _lacking(env, LIBRARIES)
    if lacking:
        print(f'Missing: {", ".join(lacking)}\n'
              f'    {install_command(lacking, env)}')
    conflicts = find_conflicts(env)
    # Plain lines can be copied; a table would wrap commands.
    for conflict in conflicts:
        print(f'Conflict: {conflict.problem}.\n    {conflict.cure}')
    if not conflicts:
        print('No conflicts.')
    return 1 if conflicts else 0
