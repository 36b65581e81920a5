"""Logging of a run: one line per interval; details go into files."""
import logging
import re
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

from mmengine.dist import get_rank, get_world_size
from mmengine.runner import log_processor

from ..compat.coco_prints import TABLE
from ..io.files import FULL, no_space
from ..registry import LOG_PROCESSORS
from .optim import GROUP

#: File beside a run's log for its long first messages.
DETAILS = 'details.txt'
# Starts of messages that go into the file: mmengine's about the environment,
# the config and the hooks, which have hundreds of lines each; COCO's tables
# and mmdet's repetition of them; the name of the run, at every epoch; groups
# of parameters; and notes on SyncBatchNorm, which no model has, and on classes
# that mmengine itself uses.
_ASIDE = ('\n----', 'Config:\n', 'Hooks will be executed', TABLE,
          'bbox_mAP_copypaste', 'segm_mAP_copypaste', 'Exp name: ', GROUP,
          'Distributed training is not used',
          '"FileClient" will be deprecated', '"HardDiskBackend" is the alias')
# 'Iter(train) [  50/2000]' or 'Epoch(train)  [3][20/46]'
_PROGRESS = re.compile(r'\w+\(train\)\s*(?:\[[^]]*\])+')


class Details(logging.Filter):
    """Move long messages from the log into a file.

    Args:
        path: Path of the file; only rank 0 writes it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message stays in the log."""
        text = record.getMessage()
        if not text.startswith(_ASIDE):
            return True
        if get_rank() == 0:
            with open(self.path, 'a', encoding='utf-8') as file:
                file.write(text.strip() + '\n' * (1 + ('\n' in text)))
        return False


def stop_if_full(logger: logging.Logger) -> None:
    """Stop the run if the disk of its log is full.

    By default, Python prints a traceback for each message that it cannot
    write, and continues.

    Args:
        logger: Its file handlers are changed to raise :class:`NoSpaceError`.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = partial(_stop_if_full, handler)


def _stop_if_full(handler: logging.FileHandler, record) -> None:
    error = sys.exc_info()[1]
    if isinstance(error, OSError) and error.errno in FULL:
        raise no_space(handler.baseFilename) from error
    type(handler).handleError(handler, record)


@LOG_PROCESSORS.register_module()
class LogProcessor(log_processor.LogProcessor):
    """mmengine's, with a training line that fits on a screen.

    It shows the time left, the sum of all losses, other scalars, images per
    second of all processes, and the share of the time spent waiting for data.
    The JSON file and the visualizer still have each loss. Like losses,
    accuracies and errors of batches are averaged over the last steps.

    Args:
        mean_pattern: Pattern for names of scalars to average.
        **kwargs: See mmengine's ``LogProcessor``.
    """

    def __init__(self,
                 *,
                 mean_pattern: str = r'loss|time|grad_norm|acc_|error_',
                 **kwargs) -> None:
        super().__init__(mean_pattern=mean_pattern, **kwargs)

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
