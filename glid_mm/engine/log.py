"""What a run says while it runs: one line an interval, the rest in files."""
import logging
import re
from datetime import timedelta
from pathlib import Path

from mmengine.dist import get_rank, get_world_size
from mmengine.runner import log_processor

from ..registry import LOG_PROCESSORS

#: Beside a run's log: what its first messages would fill pages with.
DETAILS = 'details.txt'
# How mmengine's messages about the environment, the config and the hooks
# begin; hundreds of lines each.
_LONG = ('\n----', 'Config:\n', 'Hooks will be executed')
# 'Iter(train) [  50/2000]' or 'Epoch(train)  [3][20/46]'
_PROGRESS = re.compile(r'\w+\(train\)\s*(?:\[[^]]*\])+')


class Details(logging.Filter):
    """Has long messages in a file, and not in the log.

    Args:
        path (Path): Of the file; one process writes it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message stays in the log."""
        text = record.getMessage()
        if not text.startswith(_LONG):
            return True
        if get_rank() == 0:
            with open(self.path, 'a', encoding='utf-8') as file:
                file.write(f'{text.strip()}\n\n')
        return False


@LOG_PROCESSORS.register_module()
class LogProcessor(log_processor.LogProcessor):
    """mmengine's, with a training line that fits a screen.

    It tells the time left, the sum of all losses, what is no loss, images per
    second of all processes, and the share of the time spent waiting for data.
    Each loss by itself is in the JSON file and the visualizer, as before.
    """

    def get_log_after_iter(self, runner, batch_idx: int,
                           mode: str) -> tuple[dict, str]:
        """Scalars and the line; see mmengine's ``LogProcessor``."""
        tag, line = super().get_log_after_iter(runner, batch_idx, mode)
        if mode != 'train' or not {'loss', 'lr', 'time'}.issubset(tag):
            return tag, line
        images = runner.train_dataloader.batch_sampler.batch_size
        parts = [_PROGRESS.match(line)[0]]
        eta = runner.message_hub.runtime_info.get('eta')
        if eta is not None:
            parts.append(f'{timedelta(seconds=int(eta))} left')
        parts.append(f'loss: {tag["loss"]:.4g}')
        parts += [
            f'{name}: {value:.4g}' for name, value in tag.items()
            if 'loss' not in name and name not in ('lr', 'base_lr', 'time',
                                                   'data_time', 'memory',
                                                   'epoch', 'iter')
        ]
        parts += [
            f'lr: {tag["lr"]:.3g}',
            f'{images * get_world_size() / tag["time"]:.4g} images/s',
            f'{tag.get("data_time", 0) / tag["time"]:.0%} waiting for data'
        ]
        if 'memory' in tag:
            parts.append(f'{tag["memory"] / 1024:.3g} GiB')
        return tag, '  '.join(parts)
