"""Time training steps without the validation between them."""
import time

from mmengine import hooks

from ...registry import HOOKS


@HOOKS.register_module()
class IterTimerHook(hooks.IterTimerHook):
    """mmengine's ``IterTimerHook``; evaluating is not waiting for data.

    mmengine's starts to time the next training step after the last batch of a
    validation, and counts its evaluation, its pictures and the checkpoint of
    the best model as loading time of that step.
    """

    def after_val(self, runner) -> None:
        """Start to time the next step."""
        self.t = time.time()
