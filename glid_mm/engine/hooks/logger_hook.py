"""Log the first line of a run after its first step."""
from mmengine import hooks

from ...registry import HOOKS


@HOOKS.register_module()
class LoggerHook(hooks.LoggerHook):
    """mmengine's ``LoggerHook``, with a line after the first step too.

    It shows that the run works, and how long it will take. Curves omit it.
    """

    _is_first = True

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Log at every ``interval``-th iteration and after the first."""
        if self._is_first and not (
                self.every_n_inner_iters(batch_idx, self.interval)
                or self.end_of_epoch(runner.train_dataloader, batch_idx)):
            _, line = runner.log_processor.get_log_after_iter(
                runner, batch_idx, 'train')
            runner.logger.info(line)
        self._is_first = False
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
