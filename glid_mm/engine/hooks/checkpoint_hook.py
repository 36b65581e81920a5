"""mmengine's CheckpointHook, which always keeps a good checkpoint."""
import os.path as osp
import shlex
import signal
import sys
import time
from collections import deque
from pathlib import Path

import torch
from mmengine import hooks
from mmengine.dist import all_reduce, barrier, is_main_process
from mmengine.fileio import LocalBackend

from ...errors import UserError
from ...io.files import remove_leftovers, write_atomically
from ...registry import HOOKS
from ..interruption import Interrupted, Interruption
from ..wrappers import bare_model

#: Name of the only checkpoint kept between those of the interval.
RECENT = 'recent.pth'
#: Name of the config in the folder of a run that ``glid`` has started.
CONFIG = 'config.py'


@HOOKS.register_module()
class CheckpointHook(hooks.CheckpointHook):
    """Write a new checkpoint before removing an old one.

    ``last_checkpoint`` names a checkpoint only once it is complete, and an
    outdated checkpoint is removed only once its successor exists. The disk
    needs room for two more checkpoints than ``max_keep_ckpts``, and for two
    best checkpoints while the best is replaced.

    Between checkpoints of ``interval`` there is ``recent.pth``: written when
    the last checkpoint is ``minutes`` old, and when a signal requests a stop
    (Ctrl-C, SIGTERM, SIGUSR1). Each replaces the previous one, and the next
    checkpoint of ``interval`` replaces the last. A run resumes from it as from
    any other, also within an epoch or an accumulation.

    After a signal, all ranks finish the same step or validation batch; then
    the process ends with status 128 + signal and one line on stderr. A second
    Ctrl-C ends it at once. A resumed run repeats an interrupted validation.
    That needs :class:`glid_mm.engine.Runner`.

    Args:
        minutes: Maximum minutes of training between two checkpoints,
            independent of the interval; None for no limit.
        args, kwargs: See mmengine's hook.

    Raises:
        UserError: If ``minutes`` is not above 0.
    """

    def __init__(self, *args, minutes: float | None = 15, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if minutes is not None and minutes <= 0:
            raise UserError(
                f'default_hooks.checkpoint.minutes is {minutes}. Set it above '
                '0, or to None to save only at the interval.')
        self.minutes = minutes
        self._interruption: Interruption | None = None

    def before_train(self, runner) -> None:
        """Remove partial files of an interrupted run; repeat its validation.
        """
        super().before_train(runner)
        # The run may be a copy, and the best checkpoint the original's.
        best = getattr(self, 'best_ckpt_path_dict', {})  # with several metrics
        best.update({key: self._here(path) for key, path in best.items()})
        self.best_ckpt_path = self._here(getattr(self, 'best_ckpt_path', None))
        if is_main_process() and isinstance(self.file_backend, LocalBackend):
            for path in remove_leftovers(runner.work_dir, self.out_dir):
                runner.logger.info(
                    f'removed {path}, which an interrupted run had only '
                    'partly written')
        self._saved_iter, self._saved_path = None, ''
        self._saved_at = time.monotonic()
        self._interruption = getattr(runner, 'interruption', None)
        if self._interruption is None:
            # mmengine's runner would not restore signal handlers.
            self._interruption = Interruption()
        else:
            self._interruption.watch()
        self._device = next(bare_model(runner.model).parameters()).device
        if getattr(runner, 'cut_validation', False) and runner.val_loop:
            runner.logger.info('running the interrupted validation again:')
            runner.val_loop.run()

    def _here(self, path: str | None) -> str | None:
        """The path of a checkpoint of the same name in this run."""
        return path and self.file_backend.join_path(self.out_dir,
                                                    osp.basename(path))

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Save between iterations if it is time, or end after a signal.

        At this point, the end of the epoch and the validation of the previous
        iteration are finished.
        """
        if self._interruption is None:
            return
        due = (
            self.minutes is not None and is_main_process()
            and time.monotonic() - self._saved_at >= 60 * self.minutes)
        number, due = self._interruption.agree(due, self._device)
        if number:
            self._end(runner, number)
        elif due:
            self._save_recent(runner)

    def before_val(self, runner) -> None:
        """Compute the number of batches that all ranks have."""
        if self._interruption is not None:
            count = torch.tensor([len(runner.val_dataloader)],
                                 device=self._device)
            all_reduce(count, 'min')
            self._common_batches = count.item()

    def after_val_iter(self,
                       runner,
                       batch_idx,
                       data_batch=None,
                       outputs=None) -> None:
        """Stop during validation after a signal."""
        if self._interruption is None or batch_idx >= self._common_batches:
            return
        number, _ = self._interruption.agree(False, self._device)
        if number:
            for hook in runner.hooks:
                if isinstance(hook, hooks.EMAHook):
                    # Averaged weights are in the model at the moment.
                    hook.after_val_epoch(runner)
            self._end(runner, number, cut_validation=True)

    def after_val_epoch(self, runner, metrics=None) -> None:
        """Save the best checkpoint; see mmengine's hook."""
        super().after_val_epoch(runner, metrics)
        # Schedulers, for example, may have used the results.
        self._saved_iter = None

    def after_train(self, runner) -> None:
        """Publish; see mmengine's hook. Nothing is saved after this."""
        self._interruption = None
        super().after_train(runner)

    def _end(self, runner, number: int, cut_validation: bool = False) -> None:
        """Stop the process; a resumed run continues as if uninterrupted."""
        if self._saved_iter != runner.iter or cut_validation:
            self._save_recent(runner, cut_validation=cut_validation)
        # Otherwise launchers would kill the rank that is still saving.
        barrier()
        if is_main_process():
            place = 'validation after ' if cut_validation else ''
            place += f'iteration {runner.iter} of {runner.max_iters}'
            name = signal.Signals(number).name
            cure = 'add --resume to the command'
            if Path(runner.work_dir, CONFIG).is_file():
                cure = f'run `glid resume {shlex.quote(runner.work_dir)}`'
            print(
                f'{name}: stopped in {place}; saved as {self._saved_path}; '
                f'to continue, {cure}',
                file=sys.stderr)
        raise Interrupted(number)

    def _save_recent(self, runner, **meta) -> None:
        runner.logger.info(f'Saving checkpoint at {runner.iter} iterations')
        runner.save_checkpoint(
            self.out_dir,
            RECENT,
            self.file_client_args,
            meta=dict(epoch=runner.epoch, iter=runner.iter, **meta),
            by_epoch=False,
            backend_args=self.backend_args,
            **self.args)
        path = self.file_backend.join_path(self.out_dir, RECENT)
        self._note_saved(runner, path, runner.iter)

    def _note_saved(self,
                    runner,
                    path: str,
                    iteration: int,
                    resumable: bool = True) -> None:
        """Record a complete checkpoint as the last one."""
        if resumable:
            self._saved_iter, self._saved_path = iteration, path
            self._saved_at = time.monotonic()
        if is_main_process():
            write_atomically(
                osp.join(runner.work_dir, 'last_checkpoint'), path.encode())

    def _save_checkpoint_with_step(self, runner, step, meta) -> None:
        filename = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, filename)
        resumable = self.save_optimizer and self.save_param_scheduler
        outdated = [RECENT] if resumable else []
        if self.max_keep_ckpts > 0:
            steps = [s for s in self.keep_ckpt_ids if s != step] + [step]
            outdated += map(self.filename_tmpl.format,
                            steps[:-self.max_keep_ckpts])
            self.keep_ckpt_ids = deque(steps[-self.max_keep_ckpts:],
                                       self.max_keep_ckpts)
            runner.message_hub.update_info('keep_ckpt_ids',
                                           list(self.keep_ckpt_ids))
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            filename,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args)
        self._note_saved(runner, self.last_ckpt, meta['iter'], resumable)
        if not is_main_process():
            return
        for old in outdated:
            path = self.file_backend.join_path(self.out_dir, old)
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def _save_best_checkpoint(self, runner, metrics) -> None:
        backend = self.file_backend
        self.file_backend = _RemoveLater(backend)
        try:
            super()._save_best_checkpoint(runner, metrics)
            outdated = self.file_backend.outdated
        finally:
            self.file_backend = backend
        for path in outdated:
            backend.remove(path)


class _RemoveLater:
    """A file backend that postpones removals."""

    def __init__(self, backend) -> None:
        self.backend = backend
        self.outdated = []

    def __getattr__(self, name):
        return getattr(self.backend, name)

    def remove(self, path) -> None:
        self.outdated.append(path)
