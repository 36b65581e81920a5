"""Commands that are each run once, with their progress to see."""
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

from rich.console import Console
from rich.progress import (BarColumn, MofNCompleteColumn, Progress, TextColumn,
                           TimeElapsedColumn, TimeRemainingColumn)

from glid_mm.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
# Seconds between lines where there is no terminal to draw a bar on.
QUIET = 30
# mmengine's log: "Epoch(train)  [3][20/46]", "Iter(train) [  50/2000]".
_EPOCH = re.compile(r'Epoch\(train\)\s+\[\s*(\d+)\]\[\s*(\d+)/(\d+)\]')
_ITER = re.compile(r'Iter\(train\)\s+\[\s*(\d+)/(\d+)\]')
_LOSS = re.compile(r'\bloss: (\S+)')


class StageError(UserError):
    """A command failed."""


class Stage(NamedTuple):
    """A command, and where it leaves its traces.

    Attributes:
        title (str): What it does.
        folder (Path): Where its log and the mark that it is done go;
            relative to the project.
        command (list[str]): A script, relative to the project, and its
            arguments.
        epochs (int): Epochs of a training that counts them; makes the
            length of the bar known.
    """

    title: str
    folder: Path
    command: List[str]
    epochs: int = 1

    @property
    def line(self) -> str:
        """The command as a user types it in the project's folder."""
        return _line(self.command)


def run(stage: Stage, console: Console) -> None:
    """Run a stage, unless it has been done.

    Args:
        stage (Stage): Its mark is the file ``done`` in its folder, which
            holds the command. A training that has left a checkpoint there
            goes on from it.
        console (Console): Where the progress goes; the output goes into
            ``log.txt`` in the stage's folder.

    Raises:
        StageError: If the command fails; with the end of its output.
        KeyboardInterrupt: After the command has been stopped as well.
    """
    folder = ROOT / stage.folder
    done = folder / 'done'
    if done.exists():
        console.print(f'[green]✓[/] {stage.title}: done before')
        return
    command = list(map(str, stage.command))
    if (folder / 'last_checkpoint').exists():
        command.append('--resume')
    console.print(f'[bold]{stage.title}[/]')
    console.print(
        f'$ {_line(command)}', style='dim', highlight=False, soft_wrap=True)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / 'log.txt'
    tail = deque(maxlen=15)
    start = time.monotonic()
    # Threads that wait sleep: where other programs want the cores, those that
    # spin hold up the ones that work, by a factor of ten and more.
    environment = {'OMP_WAIT_POLICY': 'PASSIVE', **os.environ}
    # In a session of its own, so that an interrupt comes to it from here,
    # once, and to all of its processes.
    process = subprocess.Popen([sys.executable, *command],
                               cwd=ROOT,
                               env=environment,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT,
                               text=True,
                               errors='replace',
                               start_new_session=True)
    try:
        with open(log, 'a') as file, _Display(stage, console) as display:
            for line in process.stdout:
                file.write(line)
                file.flush()
                tail.append(line)
                display.show(line)
            code = process.wait()
    except BaseException:
        _stop(process)
        raise
    if code:
        raise StageError(f'{stage.title} failed (exit status {code}). The '
                         f'end of {log}:\n\n{"".join(tail)}')
    done.write_text(stage.line + '\n')
    console.print(f'[green]✓[/] {stage.title}: '
                  f'{time.monotonic() - start:.0f} s')


def progress_of(line: str, epochs: int) -> Optional[Tuple[int, int]]:
    """Iterations done and to do, if a line of a log tells.

    Args:
        line (str): Of mmengine's log.
        epochs (int): All epochs, where epochs are counted.

    Returns:
        tuple[int, int] or None: Done, and all.
    """
    if match := _EPOCH.search(line):
        epoch, iteration, length = map(int, match.groups())
        return (epoch - 1) * length + iteration, epochs * length
    if match := _ITER.search(line):
        return tuple(map(int, match.groups()))
    return None


def _line(command) -> str:
    return shlex.join(['python', *map(str, command)])


class _Display:
    """A bar on a terminal; now and then a line elsewhere."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self.epochs = stage.epochs
        self.console = console
        self.bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn('left'),
            TimeRemainingColumn(),
            TextColumn('{task.fields[loss]}'),
            console=console,
            transient=True,
            disable=not console.is_terminal)
        self.task = self.bar.add_task('', total=None, loss='')
        self.told = time.monotonic()

    def __enter__(self) -> '_Display':
        self.bar.start()
        return self

    def __exit__(self, *_) -> None:
        self.bar.stop()

    def show(self, line: str) -> None:
        """Take what a line of the log says."""
        progress = progress_of(line, self.epochs)
        if progress is None:
            return
        loss = _LOSS.search(line)
        loss = f'loss {loss[1]}' if loss else ''
        self.bar.update(
            self.task, completed=progress[0], total=progress[1], loss=loss)
        if (not self.console.is_terminal
                and time.monotonic() - self.told > QUIET):
            self.told = time.monotonic()
            self.console.print(f'  {progress[0]}/{progress[1]}  {loss}')


def _stop(process: subprocess.Popen) -> None:
    """Interrupt a process and its children, or else kill them."""
    for sign, patience in (signal.SIGINT, 10), (signal.SIGKILL, None):
        if process.poll() is None:
            os.killpg(process.pid, sign)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                pass
