"""Run commands once each, and show their progress."""
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import NamedTuple

import torch
from rich.console import Console
from rich.progress import (BarColumn, MofNCompleteColumn, Progress, TextColumn,
                           TimeElapsedColumn, TimeRemainingColumn)

from glid_mm.doctor.environment import available_cores
from glid_mm.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
# Seconds between lines of progress without a terminal.
QUIET = 30
# mmengine's log: "Epoch(train)  [3][20/46]", "Iter(train) [  50/2000]".
_EPOCH = re.compile(r'Epoch\(train\)\s+\[\s*(\d+)\]\[\s*(\d+)/(\d+)\]')
_ITER = re.compile(r'Iter\(train\)\s+\[\s*(\d+)/(\d+)\]')
_LOSS = re.compile(r'\bloss: (\S+)')


class StageError(UserError):
    """A command failed."""


class Stage(NamedTuple):
    """A command, and the folder of its files.

    Attributes:
        title: Title of the stage.
        folder: Folder for its log and the file that marks it as finished,
            relative to the project.
        command: A script and its arguments.
        epochs: Epochs of a training run that counts them, for the length of
            the bar.
        cwd: Folder to run it in; by default the project's.
    """

    title: str
    folder: Path
    command: list[str]
    epochs: int = 1
    cwd: Path = ROOT

    @property
    def line(self) -> str:
        """The command as typed in its folder."""
        return _line(self.command)


def run(stages: Sequence[Stage],
        console: Console,
        jobs: int | None = None,
        until: float = math.inf) -> None:
    """Run all unfinished stages in parallel.

    Args:
        stages: The stages, which share the machine's cores. The file ``done``
            in a stage's folder marks it as finished and holds the command. A
            training run with a checkpoint in the folder resumes from it.
        console: Console for the progress; output goes into ``log.txt`` in each
            stage's folder.
        jobs: Number of parallel stages; by default all.
        until: Time, in seconds since the epoch, after which no stage starts.

    Raises:
        StageError: If a command fails, with the end of its output; the other
            commands are stopped.
        KeyboardInterrupt: After an interruption, when all commands have
            stopped.
    """
    missing = []
    for stage in stages:
        if is_done(stage):
            console.print(f'[green]✓[/] {stage.title}: already done')
        else:
            missing.append(stage)
    jobs = min(jobs or len(missing), len(missing)) or 1
    places = SimpleQueue()
    for place in range(jobs):
        places.put(place)
    processes, ending = [], Event()
    with _Display(console) as display, ThreadPoolExecutor(jobs) as pool:

        def whole(stage: Stage) -> None:
            if ending.is_set():
                return
            if time.time() > until:
                console.print(f'[yellow]–[/] {stage.title}: no time left')
                return
            place = places.get()
            try:
                process = _start(stage, jobs, place, console)
                processes.append(process)
                if ending.is_set():
                    # It started too late to be stopped with the others.
                    _stop(process)
                _follow(stage, process, display, console)
            finally:
                places.put(place)

        ends = [pool.submit(whole, stage) for stage in missing]
        try:
            for end in as_completed(ends):
                end.result()
        except BaseException:
            ending.set()
            for process in processes:
                _stop(process)
            raise


def is_done(stage: Stage) -> bool:
    """Whether a stage is finished."""
    return _mark(stage).exists()


def _mark(stage: Stage) -> Path:
    return ROOT / stage.folder / 'done'


def _start(stage: Stage, neighbours: int, place: int,
           console: Console) -> subprocess.Popen:
    folder = ROOT / stage.folder
    command = list(map(str, stage.command))
    if (folder / 'last_checkpoint').exists():
        command.append('--resume')
    console.print(f'[bold]{stage.title}[/]')
    console.print(
        f'$ {_line(command)}', style='dim', highlight=False, soft_wrap=True)
    folder.mkdir(parents=True, exist_ok=True)
    # Let waiting threads sleep: if other programs use the cores, spinning
    # threads slow down the working ones by a factor of ten and more.
    environment = {'OMP_WAIT_POLICY': 'PASSIVE', **os.environ}
    if neighbours > 1:
        cores = int(environment.get('OMP_NUM_THREADS', available_cores()))
        environment['OMP_NUM_THREADS'] = str(max(cores // neighbours, 1))
        gpus = os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',')
        if gpus == ['']:
            gpus = list(map(str, range(torch.cuda.device_count())))
        if gpus:
            environment['CUDA_VISIBLE_DEVICES'] = gpus[place % len(gpus)]
    # In its own process session, so that it gets interrupts only from here,
    # once, in all of its processes.
    return subprocess.Popen([sys.executable, *command],
                            cwd=stage.cwd,
                            env=environment,
                            stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT,
                            text=True,
                            errors='replace',
                            start_new_session=True)


def _follow(stage: Stage, process: subprocess.Popen, display: '_Display',
            console: Console) -> None:
    """Log and show the output of a stage's process until it ends."""
    log = ROOT / stage.folder / 'log.txt'
    tail = deque(maxlen=15)
    start = time.monotonic()
    row = display.add(stage)
    with open(log, 'a') as file:
        for line in process.stdout:
            file.write(line)
            file.flush()
            tail.append(line)
            row.show(line)
    if code := process.wait():
        raise StageError(f'{stage.title} failed (exit status {code}). End '
                         f'of {log}:\n\n{"".join(tail)}')
    _mark(stage).write_text(stage.line + '\n')
    console.print(f'[green]✓[/] {stage.title}: '
                  f'{time.monotonic() - start:.0f} s')


def progress_of(line: str, epochs: int) -> tuple[int, int] | None:
    """Finished and total iterations in a line of a log, if any.

    Args:
        line: A line of mmengine's log.
        epochs: Number of epochs, if epochs are counted.

    Returns:
        Finished and total iterations.
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
    """A bar for each stage on a terminal; otherwise occasional lines."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bars = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn('left'),
            TimeRemainingColumn(),
            TextColumn('{task.fields[loss]}'),
            TextColumn('{task.description}', style='dim'),
            console=console,
            transient=True,
            disable=not console.is_terminal)

    def __enter__(self) -> '_Display':
        self.bars.start()
        return self

    def __exit__(self, *_) -> None:
        self.bars.stop()

    def add(self, stage: Stage) -> '_Row':
        """Add the row of a stage that starts."""
        return _Row(stage, self)


class _Row:
    """The progress of one stage."""

    def __init__(self, stage: Stage, display: _Display) -> None:
        self.stage = stage
        self.display = display
        self.task = display.bars.add_task(stage.title, total=None, loss='')
        self.told = time.monotonic()

    def show(self, line: str) -> None:
        """Update the progress from a line of the log."""
        progress = progress_of(line, self.stage.epochs)
        if progress is None:
            return
        loss = _LOSS.search(line)
        loss = f'loss {loss[1]}' if loss else ''
        done, total = progress
        self.display.bars.update(
            self.task, completed=done, total=total, loss=loss)
        console = self.display.console
        if not console.is_terminal and time.monotonic() - self.told > QUIET:
            self.told = time.monotonic()
            console.print(f'  {self.stage.title}: {done}/{total}  {loss}')


def _stop(process: subprocess.Popen) -> None:
    """Interrupt a process and its children; kill them if they do not end."""
    for sign, patience in (signal.SIGINT, 10), (signal.SIGKILL, None):
        if process.poll() is None:
            os.killpg(process.pid, sign)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                pass
