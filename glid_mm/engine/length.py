"""Change the length of a training run and its schedule."""
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from ..errors import UserError

#: Units of the training length, and their settings in ``train_cfg``.
LENGTHS = dict(epochs='max_epochs', iters='max_iters')
# Settings of schedulers in the unit that they count.
_TIMES = ('begin', 'end', 'T_max', 'milestones', 'periods', 'step_size',
          'total_steps')
# mmengine's value for schedulers without an end.
_ENDLESS = int(1e9)
# They reach the full rate in two steps; with one they would stay at their
# start.
_SHORTEST = 2


def rescale(config: Config, unit: str, length: int) -> None:
    """Change the length of a training run and scale its schedule.

    Warm-up, decay and milestones keep their share of the length. Intervals do
    not change if the length allows them; otherwise validation keeps its share,
    and the only numbered checkpoint is the last.

    Args:
        config: The config; changed in place.
        unit: ``'epochs'`` or ``'iters'``.
        length: The new length, at least 1.

    Raises:
        UserError: If the config does not train, or uses the other unit.
    """
    name, loop = LENGTHS[unit], config.get('train_cfg') or {}
    if loop.get(name) is None:
        other, = set(LENGTHS) - {unit}
        theirs = loop.get(LENGTHS[other])
        cure = (f'it trains for {theirs} {other} (train_cfg.'
                f'{LENGTHS[other]}); use --{other} instead'
                if theirs else 'it has no training')
        raise UserError(f'--{unit}: the config has no train_cfg.{name}, '
                        f'{cure}.')
    before, loop[name] = loop[name], length
    for scheduler in _schedulers(config.get('param_scheduler')):
        _rescale(scheduler, length, before)
    checkpoint = (config.get('default_hooks') or {}).get('checkpoint') or {}
    for key in 'val_interval', 'val_begin':
        if loop.get(key, 0) > length:
            loop[key] = max(1, round(loop[key] * length / before))
    if checkpoint.get('by_epoch', True) == (unit == 'epochs'):
        for key in 'interval', 'save_begin':
            if checkpoint.get(key, 0) > length:
                checkpoint[key] = length
    if loop.get('dynamic_intervals'):
        loop.dynamic_intervals = [(round(start * length / before), interval)
                                  for start, interval in loop.dynamic_intervals
                                  ]


def _schedulers(config: Any) -> Iterator[dict]:
    """Configs of schedulers, of one optimizer or of several."""
    if isinstance(config, dict) and 'type' in config:
        yield config
    elif isinstance(config, (dict, list, tuple)):
        for part in config.values() if isinstance(config, dict) else config:
            yield from _schedulers(part)


def _rescale(scheduler: dict, length: int, before: int) -> None:
    # mmengine turns epochs into iterations, including fractional epochs.
    exact = scheduler.get('convert_to_iter_based', False)

    def scaled(time: int | list) -> int | float | list:
        if isinstance(time, (list, tuple)):
            return [scaled(t) for t in time]
        if time >= _ENDLESS:
            return time
        whole, rest = divmod(time * length, before)
        return whole if not rest else (time * length /
                                       before if exact else round(time *
                                                                  length /
                                                                  before))

    for key in _TIMES:
        if scheduler.get(key) is not None:
            time = scaled(scheduler[key])
            # These two are divisors.
            scheduler[key] = time or int(key in ('T_max', 'step_size'))
    if scheduler['type'].startswith('Exponential'):
        scheduler['gamma'] **= before / length


def without_short_warm_ups(schedulers: Any, epoch_length: int) -> Any:
    """Remove linear and constant schedulers that are too short.

    Args:
        schedulers: Schedulers of a config.
        epoch_length: Iterations of an epoch.

    Returns:
        The schedulers without warm-ups of fewer than two steps, because
        mmengine would keep their first rate.
    """
    if not isinstance(schedulers, list):
        return schedulers
    kept: list[Any] = []
    for scheduler in schedulers:
        if isinstance(scheduler, dict) and str(
                scheduler.get('type')).startswith(('Linear', 'Constant')):
            unit = epoch_length if scheduler.get(
                'convert_to_iter_based') else 1
            begin, end = (int(scheduler.get(key, other) * unit)
                          for key, other in (('begin', 0), ('end', _ENDLESS)))
            if end - begin < _SHORTEST:
                continue
        kept.append(scheduler)
    return kept
