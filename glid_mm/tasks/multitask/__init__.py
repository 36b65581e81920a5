"""One model for several tasks."""
from .check_hook import TaskCheckHook
from .composing import mixture
from .data import (MultitaskDataset, OneTaskBatchSampler, TaskSampler,
                   collate_tasks)
from .evaluation import TaskTestLoop, TaskValLoop
from .model import MultitaskGLID
from .sharing import SharedGLID

__all__ = [
    'MultitaskDataset', 'MultitaskGLID', 'OneTaskBatchSampler', 'SharedGLID',
    'TaskCheckHook', 'TaskSampler', 'TaskTestLoop', 'TaskValLoop',
    'collate_tasks', 'mixture'
]
