"""Stop a run on a signal, at a point from which it can resume."""
import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable

import torch
from mmengine.dist import all_reduce, get_world_size, is_main_process

from .arrival import Arrival, works_ahead

# Ctrl-C; the signal of ``kill``, Slurm and ``torchrun``; Slurm's ``--signal``.
SIGNALS = tuple(
    getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGUSR1')
    if hasattr(signal, name))


class Interrupted(SystemExit):
    """A signal has stopped a run after a checkpoint was saved.

    Args:
        number: Signal number. The exit status is 128 + number, as if the
            signal itself had ended the process.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


class Interruption:
    """A signal that waits until training can stop.

    As a context manager it restores the signal handlers that
    :meth:`watch` replaced.

    Attributes:
        signal (int): Number of the first signal received, 0 before.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._previous = {}
        self._answer: Arrival | None = None

    def __enter__(self) -> 'Interruption':
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._previous.items():
            # None means a handler that was not set from Python.
            signal.signal(number, handler or signal.SIG_DFL)
        self._previous = {}

    def watch(self) -> None:
        """Record signals from now on instead of ending at once.

        Ignored signals stay ignored, as ``nohup`` requires. Python sets
        handlers only in the main thread; in others nothing changes.
        """
        if (self._previous
                or threading.current_thread() is not threading.main_thread()):
            return
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._note)

    def agree(self, due: bool, device: torch.device) -> tuple[int, bool]:
        """Agree with all ranks on the next action; all ranks must call this.

        With several ranks this costs one all-reduce of one number. A GPU
        returns the result one call later, so that it does not run idle.

        Args:
            due: Whether this rank needs a checkpoint.
            device: Device for exchanging tensors between ranks.

        Returns:
            The signal that ends the run, or 0, and whether a checkpoint is due
            in any rank.
        """
        word = 2 * self.signal + due
        if get_world_size() > 1:
            # Not torch.tensor: its copy would wait for the device.
            words = torch.full((1, ), word, device=device)
            all_reduce(words, 'max')
            earlier, self._answer = self._answer, Arrival(words)
            if not works_ahead(device):
                earlier = self._answer
            word = int(earlier.get()) if earlier else 0
            if word:
                # The pending result repeats this one.
                self._answer = None
        return word // 2, bool(word % 2)

    def _note(self, number: int, frame) -> None:
        if self.signal and number == signal.SIGINT:
            _die(number)
        elif not self.signal:
            self.signal = number
            if number == signal.SIGINT and is_main_process():
                # Not print: the signal may have interrupted another print.
                os.write(
                    1, b'\nending after this step, with a checkpoint; Ctrl-C '
                    b'again ends at once\n')


def _die(number: int) -> None:
    """End now, including all child processes."""
    for child in multiprocessing.active_children():
        child.kill()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def shelter(worker_init_fn: Callable | None) -> Callable:
    """Make a data loader's workers ignore signals to the whole run.

    Ctrl-C, Slurm and ``torchrun`` signal all processes of a run. Without
    its workers, the main process could not finish its step.

    Args:
        worker_init_fn: The loader's own function.

    Returns:
        callable: A function to use instead.
    """
    return functools.partial(_start_worker, worker_init_fn)


def _start_worker(worker_init_fn: Callable | None, worker_id: int) -> None:
    for number in SIGNALS:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, 'sigwaitinfo'):
        # The main process also ends workers with SIGTERM.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(
            target=_obey, args=(os.getppid(), ), daemon=True).start()
    if worker_init_fn is not None:
        worker_init_fn(worker_id)


def _obey(parent: int) -> None:
    """End only if the parent sends SIGTERM."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
