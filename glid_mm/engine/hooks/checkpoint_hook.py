"""mmengine's CheckpointHook, at no moment without a good checkpoint."""
import os.path as osp
from collections import deque

from mmengine import hooks
from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend

from ...checkpoint.io import remove_leftovers, write_atomically
from ...registry import HOOKS


@HOOKS.register_module()
class CheckpointHook(hooks.CheckpointHook):
    """Writes first, removes afterwards; takes mmengine's arguments.

    ``last_checkpoint`` names a checkpoint only when that is complete, and an
    outdated one goes only when its successor is there. The disk needs room
    for one checkpoint more than ``max_keep_ckpts``, and for two best ones
    while the best is replaced.
    """

    def before_train(self, runner) -> None:
        """Clear what an interrupted run has left half written."""
        super().before_train(runner)
        if is_main_process() and isinstance(self.file_backend, LocalBackend):
            for path in remove_leftovers(runner.work_dir, self.out_dir):
                runner.logger.info(
                    f'removed {path}, which an interrupted run left half '
                    'written')

    def _save_checkpoint_with_step(self, runner, step, meta) -> None:
        filename = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, filename)
        outdated = []
        if self.max_keep_ckpts > 0:
            steps = [s for s in self.keep_ckpt_ids if s != step] + [step]
            outdated = steps[:-self.max_keep_ckpts]
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
        if not is_main_process():
            return
        write_atomically(
            osp.join(runner.work_dir, 'last_checkpoint'),
            self.last_ckpt.encode())
        for old in outdated:
            path = self.file_backend.join_path(self.out_dir,
                                               self.filename_tmpl.format(old))
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
    """A file backend that notes what to remove."""

    def __init__(self, backend) -> None:
        self.backend = backend
        self.outdated = []

    def __getattr__(self, name):
        return getattr(self.backend, name)

    def remove(self, path) -> None:
        self.outdated.append(path)
