"""Scripts of ``tools/``, which come with the package."""
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

#: Where OpenMMLab's ``mim`` looks for configs and tools of a package.
SHIPPED = Path(__file__).resolve().parents[1] / '.mim'

#: Verbs that pass their arguments to a script, and their help texts.
PASSED_ON = dict(
    convert='inspect, convert and publish checkpoints; put pictures into '
    'shards',
    study='compare initial weights on your data, with a table and a verdict',
    doctor='report installed and missing packages',
    demo='show the gain from pre-training on generated pictures')

_CONVERSIONS = dict(
    inspect='model_converters/inspect_checkpoint.py',
    to_glid='model_converters/to_glid.py',
    from_glid='model_converters/from_glid.py',
    take_task='model_converters/take_task.py',
    publish='model_converters/publish_model.py',
    shards='dataset_converters/shard_images.py',
    ade20k='dataset_converters/ade20k.py',
    nyuv2='dataset_converters/nyuv2.py',
    scenes='dataset_converters/make_scenes.py')


def pass_on(verb: str, *arguments: str) -> None:
    """Run the script of a verb; does not return.

    Args:
        verb: A key of :data:`PASSED_ON`.
        *arguments: Arguments of the verb.

    Raises:
        SystemExit: If the conversion does not exist, or only a checkout has
            the script.
    """
    if verb == 'doctor':
        start([sys.executable, '-m', 'glid_mm.doctor', *arguments])
    script = f'{verb}.py'
    if verb == 'convert':
        what, *arguments = arguments or ('--help', )
        name = what.replace('-', '_')
        if name not in _CONVERSIONS:
            names = ', '.join(n.replace('_', '-') for n in _CONVERSIONS)
            if what in ('-h', '--help'):
                print(f'usage: glid convert WHAT ...\n\nWHAT is one of '
                      f'{names}. `glid convert WHAT --help` has its options.')
                sys.exit()
            sys.exit(f'glid convert {what}: choose from {names}')
        script = _CONVERSIONS[name]
    start(tool(script, *arguments))


def tool(script: str, *arguments: str) -> list[str]:
    """The command that runs a script of ``tools/``.

    Args:
        script: Path of the script in ``tools/``.
        *arguments: Its arguments.

    Returns:
        The command.

    Raises:
        SystemExit: If only a checkout has the script.
    """
    path = SHIPPED / 'tools' / script
    if not path.is_file():
        sys.exit(f'{script} comes with a checkout of glid_mm, not with the '
                 'installed package. Clone the repository and run '
                 f'tools/{script} there.')
    return [sys.executable, str(path), *arguments]


def start(command: Sequence[str]) -> None:
    """Replace this process with another; does not return.

    Args:
        command: The command. Its process receives the signals sent to this
            one, such as Slurm's before the end of a job.
    """
    sys.stdout.flush()
    if os.name == 'posix':
        os.execv(command[0], command)
    sys.exit(subprocess.call(command))
