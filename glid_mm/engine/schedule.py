"""Make the schedule of a resumed run follow its config.

mmengine's schedulers compute each value from the previous one, and
checkpoints restore all their settings. A run that is resumed with another
config would continue with the old schedule, and a longer run with the last
value of the old schedule.
"""
import copy
import warnings
from typing import NamedTuple

from mmengine.optim import OptimWrapper
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler

from ..errors import UserError
from .defaults import KERNELS

# Attributes that change during use, or that groups have as well.
_STATE = ('last_step', 'base_values', 'verbose', '_global_step', '_last_value')


class Progress(NamedTuple):
    """The progress of a run.

    Attributes:
        iterations: Completed iterations.
        epochs: Completed epochs; 0 if the run does not count them.
        epoch_length: Iterations of an epoch.
        end: Iterations of the whole run.
    """

    iterations: int
    epochs: int
    epoch_length: int
    end: int


class Schedule:
    """The optimizer's settings at each iteration, according to a config.

    Args:
        optim_wrapper: The wrapper, just built.
        schedulers: Its schedulers, just built.
        end: Iterations of the whole run.
    """

    def __init__(self, optim_wrapper: OptimWrapper,
                 schedulers: list[_ParamScheduler], end: int) -> None:
        self._optim_wrapper = optim_wrapper
        self._schedulers = schedulers
        self._groups = [{
            k: v
            for k, v in group.items() if k != 'params'
        } for group in optim_wrapper.param_groups]
        self._states = [copy.deepcopy(s.state_dict()) for s in schedulers]
        self.facts = {'iterations': end}
        for i, scheduler in enumerate(schedulers):
            self.facts[f'param_scheduler.{i}'] = type(scheduler).__name__
            self.facts.update({
                f'param_scheduler.{i}.{key}': _plain(value)
                for key, value in self._states[i].items() if key not in _STATE
            })

    def follow(self, then: dict | None, progress: Progress) -> str:
        """Set optimizer and schedulers to the state that the config requires.

        If nothing has changed, they keep the state of the checkpoint.

        Args:
            then: :attr:`facts` of the run that wrote the checkpoint. None if
                the checkpoint has none.
            progress: The progress at which the run continues.

        Returns:
            The changes and the new learning rate; empty if nothing has
            changed.

        Raises:
            UserError: If the run is longer now and its schedule has ended, or
                if the schedule depends on earlier results.
        """
        then = self.facts if then is None else then
        changes = {
            name:
            f'{name} from {then.get(name, "not set")} '
            f'to {self.facts.get(name, "not set")}'
            for name in {
                **then,
                **self.facts
            } if then.get(name) != self.facts.get(name)
        }
        changes.update(self._changed_settings())
        if not changes:
            return ''
        rate = self._rate()
        if [*changes] != ['iterations']:
            self._take_over(progress)
        if then['iterations'] < progress.end:
            self._refuse_ended(progress)
        told = '; '.join([*changes.values()][:4])
        if len(changes) > 4:
            told += f' and {len(changes) - 4} more'
        return (f'the schedule has changed: {told}. The run continues with '
                f'the new schedule at iteration {progress.iterations + 1} of '
                f'{progress.end}: its learning rate is {self._rate():.4g}, '
                f'and was {rate:.4g} in the checkpoint.')

    def _rate(self) -> float:
        return max(group['lr'] for group in self._optim_wrapper.param_groups)

    def _changed_settings(self) -> dict[str, str]:
        """Settings of the optimizer that differ in the checkpoint."""
        changes = {}
        for group, fresh in zip(self._optim_wrapper.param_groups,
                                self._groups):
            for key, value in fresh.items():
                # If there is an initial value, schedulers set the current
                # value.
                if (key not in KERNELS and key in group
                        and f'initial_{key}' not in fresh
                        and group[key] != value):
                    name = key.replace('initial_', '')
                    changes.setdefault(name,
                                       f'{name} from {group[key]} to {value}')
        return changes

    def _take_over(self, progress: Progress) -> None:
        """Set the values that a run with this config would have now."""
        if any(getattr(s, 'need_val_args', False) for s in self._schedulers):
            raise UserError(
                'the schedule has changed, but a scheduler in param_scheduler '
                'follows validation results, which this run does not have. '
                'Resume with the original config, or start a new run from its '
                'weights (load_from, without --resume)')
        for group, fresh in zip(self._optim_wrapper.param_groups,
                                self._groups):
            group.update(fresh)
        for scheduler, state in zip(self._schedulers, self._states):
            scheduler.load_state_dict(copy.deepcopy(state))
        with warnings.catch_warnings():
            # Schedulers warn about steps without optimizer steps.
            warnings.simplefilter('ignore')
            epochs = 0
            for iteration in range(1, progress.iterations + 1):
                self._step(by_epoch=False)
                if (iteration % progress.epoch_length == 0
                        and epochs < progress.epochs):
                    epochs += 1
                    self._step(by_epoch=True)

    def _step(self, by_epoch: bool) -> None:
        """Step schedulers in the order of ``ParamSchedulerHook``."""
        for scheduler in self._schedulers:
            if scheduler.by_epoch == by_epoch:
                scheduler.step()

    def _refuse_ended(self, progress: Progress) -> None:
        """Refuse to train beyond the end of the schedule at a tiny rate.
        """
        rates = [s for s in self._schedulers if s.param_name == 'lr']
        share = max(group['lr'] / group['initial_lr']
                    if 'initial_lr' in group and group['initial_lr'] else 1.
                    for group in self._optim_wrapper.param_groups)
        if (progress.iterations < progress.end and rates and share < .01
                and all(s._global_step >= s.end for s in rates)):
            raise UserError(
                f'the run is now {progress.end} iterations long, but its '
                f'schedule had ended by iteration {progress.iterations}: the '
                f'learning rate would stay at {self._rate():.3g}, {share:.2g} '
                'of its first value. Make the schedule as long as the run '
                '(param_scheduler.N.end of the last scheduler, and its T_max '
                'or total_iters, in the same units as train_cfg), or start a '
                'new run from these weights (load_from, without --resume).')


def _plain(value):
    """A setting in a form that checkpoints can store and messages can show."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    # Milestones are a Counter, whose text depends on its order.
    return str(sorted(value) if isinstance(value, dict) else value)
